"""Training and scoring on torch, transformers and peft. No Prefect."""
