"""Genes of a sample from its others, values that stand out, and codes of samples (methods 6.24)."""
