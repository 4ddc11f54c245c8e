"""What Prefect's UI shows of a run, where its server can be reached: the record is elsewhere."""

import logging
from collections.abc import Callable

_TRIES_AGAIN = 3
"""After two, four and eight seconds: a server that is started again or busy answers by then."""

_log = logging.getLogger(__name__)
_lost = False
"""Whether the server did not answer last time; then nobody waits for it, until it answers."""


def shown(create: Callable[[], object], what: str) -> bool:
    """Whether ``create`` could show ``what`` in the UI; if not that is logged, and never costs the run."""
    global _lost
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    try:
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0 if _lost else _TRIES_AGAIN}):
            create()
    except Exception as error:
        _lost = True
        _log.warning("%s cannot be shown in the UI: %s", what, error)
        return False
    _lost = False
    return True
