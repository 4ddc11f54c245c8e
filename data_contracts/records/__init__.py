"""Frozen typed records: settings, evidence, decisions, permits."""
