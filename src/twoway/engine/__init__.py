"""One pass over a pair: observe, decide, guard, apply. `cycle.py` is the only file that names every step."""
