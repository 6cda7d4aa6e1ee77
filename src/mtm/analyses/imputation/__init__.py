"""Genes of a sample from its others, odd values, and codes of samples (methods 6.24)."""
