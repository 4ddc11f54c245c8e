"""A webhook on loopback, and the notification blocks of Prefect that lead to it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

from tests.flows.planted import WEBHOOK_SECRET

BLOCK = "custom-webhook/ops"
BROKEN = "custom-webhook/broken"
"""It is always answered 500."""

Received = list[dict[str, str]]
"""Subject and body of each message."""


@contextmanager
def webhook() -> Iterator[Received]:
    """What it has received so far. Its blocks are saved at the server that Prefect's settings name."""
    from prefect.blocks.notifications import CustomWebhookNotificationBlock

    received: Received = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            broken = self.path.startswith("/broken")
            if not broken:
                received.append(body)
            self.send_response(500 if broken else 204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for block, path in ((BLOCK, "hook"), (BROKEN, "broken")):
        name = block.partition("/")[2]
        CustomWebhookNotificationBlock(
            name=name,
            url=f"http://127.0.0.1:{server.server_port}/{path}/{{{{token}}}}",
            json_data={"subject": "{{subject}}", "body": "{{body}}"},
            secrets={"token": WEBHOOK_SECRET},
        ).save(name, overwrite=True)
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()


def subjects(told: Received) -> list[str]:
    return [each["subject"] for each in told]
