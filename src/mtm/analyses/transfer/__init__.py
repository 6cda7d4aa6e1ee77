"""A model taken to an external cohort."""
