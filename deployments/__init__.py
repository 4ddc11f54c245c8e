"""Deployments for a Prefect server."""
