"""MTM (He et al. 2023): networks, training engine, model."""
