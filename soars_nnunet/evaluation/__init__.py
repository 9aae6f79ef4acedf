"""Scores of predictions against references, comparison of predictions, and their tables."""
