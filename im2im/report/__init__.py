"""What a run shows of itself: pictures, one page, one table. No torch here, so a page can be written again from the run folder alone."""
