"""Linear models of one tissue from another: batched solvers over all genes at once."""
