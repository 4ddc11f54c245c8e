"""Keeps libraries' progress bars and start-up notes out of the pipeline's own output."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Inside, libraries show no bars and log errors only; afterwards all is as before.

    peft warns of what is meant here: bases that lie in no folder of this name on a hub, ranks that AdaLoRA
    dealt out as zero, and its own rank pattern, which it writes and does not know again.
    """
    from transformers.utils import logging as transformers_logging

    verbosity = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"peft\.")
            yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
