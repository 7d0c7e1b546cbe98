"""The heart: pure functions from what was seen to what is to be written.

Nothing here does I/O, reads a clock, draws a random number or logs: instants, ids and seeds are arguments.
Outputs are sorted, so that the same input gives the same plan, to the byte.
"""
