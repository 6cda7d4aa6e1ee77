"""How often the intervals hold the truth, and how often the tests reject without cause."""
