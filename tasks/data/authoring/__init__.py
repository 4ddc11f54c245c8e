"""Working on a contract without a run: drafting, comparing, checking alone."""
