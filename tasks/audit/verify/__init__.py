"""Verifying a dossier: every fault, from what it holds and what is kept elsewhere; trusting nobody."""
