"""Where the registry is: a file beside the runs, or a server that the environment names."""

import logging
import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from data_contracts.errors import InputError

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

SQLITE = "sqlite:///"
FOLDER = ".registry"
"""Below the output folder."""
FILE = "mlflow.db"
PROMOTIONS = "promotions"
"""Below the output folder, a folder a model: what promotions were decided on, and rollbacks."""
LOCATION_VARIABLE = "LORAFIRST_REGISTRY"
"""The environment variable that names an MLflow server, or a database; a URL may hold a password."""


def registry_location(output: Path) -> str:
    """The URI of the registry of the runs below ``output``."""
    given = os.environ.get(LOCATION_VARIABLE)
    if not given:
        return f"{SQLITE}{(output / FOLDER / FILE).resolve()}"
    return given if "://" in given else f"{SQLITE}{Path(given).resolve()}"


def is_there(location: str) -> bool:
    """Whether there is anything to read: a file may not have been made yet."""
    return not location.startswith(SQLITE) or Path(location.removeprefix(SQLITE)).is_file()


def shown(location: str) -> str:
    """For messages: without user and password."""
    parts = urlsplit(location)
    if "@" not in parts.netloc:
        return location
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def client_of(location: str) -> "MlflowClient":
    """Raises ``InputError`` where MLflow is not installed."""
    # Telemetry is switched off before the import that would begin it; MLflow reads no other word for it.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # It would print addresses of its pages where a command prints JSON.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    try:
        tracking: Any = import_module("mlflow.tracking")
    except ModuleNotFoundError as error:
        raise InputError.single(
            "registry",
            expected="MLflow, which keeps the versions of models",
            found="it is not installed",
            remedy="pip install 'lorafirst[registry]'",
        ) from error
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    client: MlflowClient = tracking.MlflowClient(tracking_uri=location, registry_uri=location)
    return client
