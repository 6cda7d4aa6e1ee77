"""Figures: one tidy table in, one matplotlib Figure out."""
