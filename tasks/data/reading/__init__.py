"""From whatever ``data.source`` names to batches of rows."""
