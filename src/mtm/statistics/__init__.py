"""Statistics that know nothing of cohorts or models: correlations, resampling, tests.

They take NumPy arrays; the kernels that run where the data are resident take torch tensors.
"""
