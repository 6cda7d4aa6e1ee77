"""How well held-out expression is predicted, and by which model better."""
