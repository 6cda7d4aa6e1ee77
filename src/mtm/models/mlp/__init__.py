"""The per-tissue network, S3 of He et al. 2023."""
