"""What keys may sign. Apart from the records, because the command line names roles in its help."""

from enum import StrEnum


class KeyRole(StrEnum):
    """What a key may sign."""

    PIPELINE = "pipeline"
    """Decisions, permits and checkpoints."""
    APPROVER = "approver"
    """A person's answers to escalations."""
    MODEL = "model"
    """Folders of accepted models, by OpenSSF model-signing; no such key stands in a keyring."""
