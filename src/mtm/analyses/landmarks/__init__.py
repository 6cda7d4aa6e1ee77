"""A panel assay made whole: the other genes of a sample from some of its own (methods 6.20)."""
