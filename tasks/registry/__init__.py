"""The registry of models on MLflow, which is imported where it is used. No Prefect, no torch."""
