"""What sets apart the genes that a model predicts well."""
