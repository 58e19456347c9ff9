"""Simple methods that a network is compared with."""
