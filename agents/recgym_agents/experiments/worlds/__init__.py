"""Agents in every world, beside oracles and trivial policies."""
