"""Two-way sync: the same customer, correct in every app."""

__version__ = "0.1.0"
