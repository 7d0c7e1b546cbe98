"""What a cycle costs, beside the barest loop that does the same work: `python -m benchmarks.speed`."""
