"""What is run by hand: the demo, benchmarks and experiments; `python -m scripts.benchmarks.inference --help`."""
