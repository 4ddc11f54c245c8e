"""The server's part of ``lorafirst up``."""

import base64
import socket
import time
from http import HTTPStatus
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from data_contracts.errors import InputError
from flows.operating.credentials import VARIABLE
from flows.operating.environment import Installation
from flows.operating.started import Started
from flows.operating.state import SERVER

_START_SECONDS = 120.0
_ANSWER_SECONDS = 10.0


def require_port(host: str, port: int) -> None:
    """Returns only if the server could listen there.

    Raises:
        InputError: the port is taken, or the address is none of this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the server will: a port is free again at once after its last server has ended.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise InputError.single(
            f"port {port} of {host}",
            expected="a port that the server can listen on",
            found=error.strerror or str(error),
            remedy="choose another with --port (and --host), or stop what listens there",
        ) from error


def start_server(started: Started) -> None:
    """Returns when it answers; raises ``LorafirstError`` if it does not."""
    installation = started.installation
    process = started.start(SERVER, installation.server_command(), installation.server_environment())
    begun = time.monotonic()
    # Needed in a moment; until the server answers their seconds cost nothing.
    import prefect.client.orchestration
    import prefect.workers.process  # noqa: F401

    while not _answers(installation.api):
        started.require_starting(process, waited=time.monotonic() - begun, most=_START_SECONDS)
        time.sleep(0.1)


def require_credentials(installation: Installation) -> None:
    """Returns only if the server that runs takes the name and password.

    Raises:
        InputError: it has others, or does not answer.
    """
    given = base64.b64encode(installation.credentials.encode()).decode()
    request = Request(  # noqa: S310 - the server's own address
        f"{installation.api}/admin/version", headers={"Authorization": f"Basic {given}"}
    )
    try:
        with urlopen(request, timeout=_ANSWER_SECONDS):  # noqa: S310 - the same
            return
    except (URLError, OSError) as error:
        refused = isinstance(error, HTTPError) and error.code == HTTPStatus.UNAUTHORIZED
        raise InputError.single(
            installation.url,
            expected="the name and password that the server was started with" if refused else "an answer",
            found="others" if refused else str(error),
            remedy=f"set {VARIABLE} as it was then, or run `lorafirst down` first"
            if refused
            else "run `lorafirst down`, and then this again",
        ) from error


def _answers(api: str) -> bool:
    try:
        with urlopen(f"{api}/health", timeout=5) as answer:  # noqa: S310 - the server's own address
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
