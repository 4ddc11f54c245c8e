"""What breaks a rule: in a row, in its texts and labels, between two sets of rows."""
