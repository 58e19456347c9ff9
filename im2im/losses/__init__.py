"""Losses: plain functions of tensors, and the criteria that a configuration chooses among."""
