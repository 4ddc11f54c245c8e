"""Metrics as plain functions, and the same ones as a module of ``evaluate`` that needs no network."""
