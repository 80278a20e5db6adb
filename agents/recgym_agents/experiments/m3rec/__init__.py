"""The experiments on M3Rec, and on users of whom little is known."""
