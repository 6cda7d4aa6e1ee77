"""Statistics that know nothing of cohorts or models: correlations, resampling, tests."""
