"""New runs on new data: when they start, what they are, who is told."""
