"""What stands in a row's labels in place of a token that is not to be predicted."""

IGNORED_LABEL = -100
"""No loss is taken where this stands; the value that PyTorch's cross entropy skips by default."""
