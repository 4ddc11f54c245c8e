"""The compose file is one, and ships no open door and no secret."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from data_contracts.served import FOLDER_VARIABLE
from flows.operating.pools import POOLS

FOLDER = Path(__file__).resolve().parents[2] / "deployments"
FILE = FOLDER / "compose.yaml"


def services() -> dict[str, Any]:
    return dict(yaml.safe_load(FILE.read_text(encoding="utf-8"))["services"])


def validated(path: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)],
        capture_output=True,
        text=True,
    )


def test_it_satisfies_the_schema_of_compose_files(tmp_path: Path) -> None:
    done = validated(FILE)
    assert done.returncode == 0, done.stdout + done.stderr
    broken = tmp_path / "compose.yaml"
    broken.write_text(FILE.read_text(encoding="utf-8").replace("depends_on:", "depend_on:"), encoding="utf-8")
    assert validated(broken).returncode == 1


def test_everybody_is_asked_for_a_password(tmp_path: Path) -> None:
    server = services()["server"]["environment"]
    assert server["PREFECT_SERVER_API_AUTH_STRING"].startswith("${LORAFIRST_AUTH:?")
    assert server["PREFECT_SERVER_CSRF_PROTECTION_ENABLED"] == "true"
    assert server["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert [port for each in services().values() for port in each.get("ports", ())] == ["127.0.0.1:4200:4200"]


@pytest.mark.parametrize("path", [FILE, FOLDER / "Dockerfile", FOLDER / "prefect.yaml"], ids=lambda p: p.name)
def test_secrets_come_from_the_environment_and_have_no_default(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    for name in ("LORAFIRST_AUTH", "LORAFIRST_DATABASE_PASSWORD"):
        assert set(re.findall(rf"\${{{name}(.?)", text)) <= {":"}
        assert f"${{{name}:-" not in text
    given = re.sub(r"\$\{[^}]*\}", "", text)
    assigned = re.findall(r"(?i)\b\w*(?:password|auth|secret)\w*[:=][ \t]*([^\s\"]\S*)", given)
    assert assigned == []


def test_each_pool_has_a_worker_that_is_confined_to_the_folder() -> None:
    workers = {
        each["command"][each["command"].index("--pool") + 1]: each
        for each in services().values()
        if "--pool" in each.get("command", ())
    }
    assert set(workers) == {pool.name for pool in POOLS}
    for worker in workers.values():
        inside = worker["environment"][FOLDER_VARIABLE]
        assert worker["volumes"][0].endswith(f":{inside}")


def test_the_image_has_every_package(tmp_path: Path) -> None:
    copied = set(re.findall(r"COPY (\w+) /source/", (FOLDER / "Dockerfile").read_text(encoding="utf-8")))
    assert copied == {"data_contracts", "tasks", "flows", "deployments"}
