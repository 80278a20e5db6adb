"""Learning and evaluation from logs alone."""
