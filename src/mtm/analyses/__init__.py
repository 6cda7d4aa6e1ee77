"""Downstream analyses: pure functions on tables."""
