"""How well predictions match observations."""
