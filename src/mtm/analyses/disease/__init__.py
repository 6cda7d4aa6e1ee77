"""Whether predictions keep the dysregulation of diseases, and who is ill."""
