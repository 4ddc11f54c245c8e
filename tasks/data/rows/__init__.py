"""The rows of a task: their columns, batches, identities and splits."""
