"""Figures, each with the command that gives it. Ratios of one run are what counts: absolute times are the machine's."""
