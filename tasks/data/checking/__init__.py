"""Holding rows against checks, and what was found."""
