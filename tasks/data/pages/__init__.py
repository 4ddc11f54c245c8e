"""Pages to look at: each one file, readable offline, on a phone and on paper, without any script."""
