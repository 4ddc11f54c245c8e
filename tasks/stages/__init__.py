"""Thin Prefect shells: one task a stage, each over plain functions of the packages beside this one."""
