"""Intervals around predictions, whether they hold what they should, and reliability of genes."""
