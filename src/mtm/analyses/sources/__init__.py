"""How well a tissue is told from which others, and from how many of them (methods 8.1)."""
