"""Samples as sentences of genes, an encoder of them, and what moves its code (methods 6.25)."""
