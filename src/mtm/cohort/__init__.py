"""A cohort: its files read and checked, filtered, folded, scaled."""
