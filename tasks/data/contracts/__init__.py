"""From an ODCS 3 document to checks, as data."""
