"""The result page of a run: one file made of its tables and figures, which computes nothing itself."""
