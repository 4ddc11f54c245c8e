"""What the stages do: decisions, data, training, evidence, audit, and the Prefect shells over them."""
