"""The numbers of He et al. 2023 (methods 3, R1-R22) beside those of a run.

`values.tsv` holds the paper's numbers; a module for each family of them says where a run's own
stands in the tables of the analyses. Nothing is computed here but counts and statistics over the
rows of a table.
"""
