"""Comparisons of trainings and predictions; what they gave is in results/."""
