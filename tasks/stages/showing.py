"""What Prefect's UI shows of a run, where its server can be reached: the record is elsewhere."""

import logging
import socket
from collections.abc import Callable
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

_TRIES_AGAIN = 3
"""After two, four and eight seconds: a server that is started again or busy answers by then."""
_KNOCK_SECONDS = 1.0
_PORTS = {"http": 80, "https": 443}

_log = logging.getLogger(__name__)
_lost = False
"""Whether the server did not answer last time; then nobody waits for it, until it answers."""


def shown(create: Callable[[], object], what: str) -> bool:
    """Whether ``create`` could show ``what`` in the UI; if not that is logged, and never costs the run."""
    global _lost
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    try:
        if _lost and not _somebody_listens():
            raise ConnectionError("its server is gone")
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0 if _lost else _TRIES_AGAIN}):
            create()
    except Exception as error:
        _lost = True
        _log.warning("%s cannot be shown in the UI: %s", what, error)
        return False
    _lost = False
    return True


def _somebody_listens() -> bool:
    """Whether a connection to the server can be made; taken for granted where a proxy makes it.

    Asked first, because Prefect's client would try to connect for seconds, at each of many views.
    """
    from prefect.settings import PREFECT_API_URL

    url = urlsplit(PREFECT_API_URL.value() or "")
    proxied = {url.scheme, "all"} & getproxies().keys() and not proxy_bypass(url.netloc)
    if url.hostname is None or proxied:
        return True
    try:
        port = url.port or _PORTS.get(url.scheme, 80)
        with socket.create_connection((url.hostname, port), timeout=_KNOCK_SECONDS):
            return True
    except OSError:
        return False
