"""The algorithms: one file a family, with its configuration and its update."""
