"""Where lorafirst keeps what it can make again: converted models and plain copies of data files."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """``LORAFIRST_CACHE``, or ``lorafirst`` in the user's cache folder."""
    configured = os.environ.get("LORAFIRST_CACHE")
    if configured:
        return Path(configured)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lorafirst"
