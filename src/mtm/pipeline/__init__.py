"""What rules and scripts of the workflow alone use."""
