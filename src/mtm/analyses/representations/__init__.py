"""What MTM has learned: codes, decoding paths, similarity of tissues."""
