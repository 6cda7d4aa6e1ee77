"""A cohort in GTEx's formats, drawn from a known truth."""
