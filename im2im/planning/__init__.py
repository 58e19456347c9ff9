"""Plans: settings of a training, chosen from the data and the machine by written rules."""
