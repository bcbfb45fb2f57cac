"""Counts of what one request costs, which noise does not move: Python calls, Redis commands, SQL."""
