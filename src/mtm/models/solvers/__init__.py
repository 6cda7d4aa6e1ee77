"""Batched solvers of linear models over all genes at once."""
