"""From a fitted model to predictions: requests, files, tissues, new people."""
