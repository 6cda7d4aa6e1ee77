"""A gene's expression over tissues: holes filled, and genes never measured (methods 6.23)."""
