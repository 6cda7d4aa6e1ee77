"""The result page of a run: one file, made of tables and figures; it computes nothing itself."""
