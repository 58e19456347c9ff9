"""Auto: proposes configurations from the data, tries them, and keeps the best."""
