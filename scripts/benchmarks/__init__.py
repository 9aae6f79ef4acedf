"""Time and memory; what was measured is in results/."""
