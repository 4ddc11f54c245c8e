"""What cannot be used is one clear message, before anything is started."""

import os
import signal
import socket
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from data_contracts.errors import InputError
from flows.command_line import app
from flows.commands.failing import EXIT_INPUT
from flows.operating.credentials import VARIABLE, credentials_file, find_credentials
from flows.operating.database import database_url, without_password
from flows.operating.deployments import read_entries, shipped_file
from flows.operating.environment import Installation
from flows.operating.processes import send, start, wait_for_end
from flows.operating.state import Operating, StartedProcess, read_state, write_state
from tests.flows.operating.conftest import free_port


@pytest.fixture(autouse=True)
def nobody_said_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["up", *arguments])
    assert result.exit_code == EXIT_INPUT, result.output
    assert "Traceback" not in result.output
    return result.output


def options(tmp_path: Path) -> list[str]:
    (tmp_path / "served").mkdir(exist_ok=True)
    return ["--folder", str(tmp_path / "served"), "--state", str(tmp_path / "state")]


def end(process: StartedProcess) -> None:
    send([process], signal.SIGKILL)
    assert wait_for_end([process], 10) == ()


def nothing_is_up(tmp_path: Path) -> bool:
    return read_state(tmp_path / "state") is None


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused(*options(tmp_path), "--port", str(port))
    assert f"port {port} of 127.0.0.1" in said and "Address already in use" in said and "--port" in said
    assert nothing_is_up(tmp_path)


def test_an_address_of_another_machine(tmp_path: Path) -> None:
    said = refused(*options(tmp_path), "--host", "192.0.2.7")
    assert "192.0.2.7" in said and nothing_is_up(tmp_path)


def test_a_database_that_is_down(tmp_path: Path) -> None:
    url = f"postgresql+asyncpg://ada:planted-word@127.0.0.1:{free_port()}/prefect"
    said = refused(*options(tmp_path), "--port", str(free_port()), "--database", url)
    assert "answers within 5 seconds" in said and "start it, or correct the URL" in said
    assert "planted-word" not in said and "ada:***@127.0.0.1" in said
    assert nothing_is_up(tmp_path)


def test_a_database_without_what_the_server_needs(tmp_path: Path, postgresql: str) -> None:
    said = refused(*options(tmp_path), "--port", str(free_port()), "--database", postgresql)
    assert "extension pg_trgm" in said and nothing_is_up(tmp_path)


@pytest.mark.parametrize("url", ["mysql://ada:planted-word@host/name", "planted-word"])
def test_a_database_of_another_kind(tmp_path: Path, url: str) -> None:
    said = refused(*options(tmp_path), "--database", url)
    assert "postgresql+asyncpg://USER:PASSWORD@HOST:PORT/NAME" in said and "planted-word" not in said


@pytest.mark.parametrize(
    "query", ["user=ada&password=planted-word", "ssl=prefer&PASSWORD=planted-word", "p%61ssword=planted-word"]
)
def test_a_password_among_the_parameters_of_a_database(tmp_path: Path, query: str) -> None:
    said = refused(*options(tmp_path), "--database", f"postgresql://127.0.0.1:{free_port()}/prefect?{query}")
    assert "put them before the host" in said and "planted-word" not in said
    assert nothing_is_up(tmp_path)


def test_passwords_of_the_server_reach_no_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LORAFIRST_AUTH", "LORAFIRST_DATABASE"):
        monkeypatch.setenv(name, "planted-word")
    url = "postgresql+asyncpg://ada:planted-word@host/name"
    installation = Installation(tmp_path, tmp_path, "127.0.0.1", 1, "http://127.0.0.1:1", url, "ada:password")
    assert "planted-word" not in str(installation.client_environment())
    assert installation.server_environment()["PREFECT_SERVER_DATABASE_CONNECTION_URL"] == url


def test_usual_names_of_postgresql_are_understood(tmp_path: Path) -> None:
    for scheme in ("postgres", "postgresql", "postgresql+asyncpg"):
        assert database_url(f"{scheme}://ada:word@host/name", tmp_path) == (
            "postgresql+asyncpg://ada:word@host/name"
        )
    assert without_password("postgresql+asyncpg://ada:word@host/name").count("word") == 0


@pytest.mark.parametrize("worker_lives", [True, False])
def test_a_database_that_nobody_names_any_more_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worker_lives: bool
) -> None:
    """The server is gone, and the shell is another one, without LORAFIRST_DATABASE."""
    monkeypatch.delenv("LORAFIRST_DATABASE", raising=False)
    state, port = tmp_path / "state", free_port()
    state.mkdir()
    worker = start(
        "worker lorafirst",
        ["sleep", "100"],
        folder=tmp_path,
        log=tmp_path / "worker.log",
        environment=os.environ,
    )
    if not worker_lives:
        end(worker)
    database = "postgresql+asyncpg://ada:***@127.0.0.1/prefect"
    folder = str(tmp_path / "served")
    left = Operating(host="127.0.0.1", port=port, folder=folder, database=database, processes=(worker,))
    write_state(state, left)
    try:
        said = refused(*options(tmp_path))
    finally:
        kept = read_state(state)
        CliRunner().invoke(app, ["down", "--state", str(state)])
    assert "ada:***@127.0.0.1/prefect" in said and "set LORAFIRST_DATABASE" in said
    assert kept == left and not (state / "prefect.db").exists()


def test_a_state_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file", encoding="utf-8")
    said = refused(*options(tmp_path))
    assert f"--state {tmp_path / 'state'}" in said and "a folder that can be written to" in said


def test_a_state_folder_that_the_form_could_read(tmp_path: Path) -> None:
    said = refused("--folder", str(tmp_path), "--state", str(tmp_path / "deep" / "state"))
    assert "could read the password" in said
    assert not (tmp_path / "deep").exists()


def test_a_state_file_that_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "operating.json").write_text("{", encoding="utf-8")
    assert "what `lorafirst up` wrote down" in refused(*options(tmp_path))


def test_what_ran_before_a_reboot_is_no_obstacle(tmp_path: Path) -> None:
    """The number of the server is that of this very process now, which lives on."""
    state = tmp_path / "state"
    state.mkdir()
    gone = StartedProcess(role="server", pid=os.getpid(), started_ticks=1, boot="an earlier one")
    left = Operating(host="127.0.0.1", port=1, folder="/elsewhere", database="", processes=(gone,))
    write_state(state, left)
    result = CliRunner().invoke(app, ["down", "--state", str(state)])
    assert result.exit_code == 0 and "nothing was running any more" in result.output
    assert read_state(state) is None
    assert "Nothing is up" in CliRunner().invoke(app, ["down", "--state", str(state)]).output


@pytest.mark.parametrize(
    ("schedule", "told"),
    [
        ({"cron": "0 2 * * *"}, "the time zone that it is meant in"),
        ({"cron": "0 2 * * *", "timezone": "Europe/Atlantis"}, "'Europe/Atlantis'"),
        ({"cron": "at two", "timezone": "UTC"}, "five fields: minute, hour"),
    ],
)
def test_a_schedule_that_can_never_come_due(tmp_path: Path, schedule: dict[str, str], told: str) -> None:
    own = tmp_path / "own.yaml"
    lines = [f"    - {{{', '.join(f'{key}: {value!r}' for key, value in schedule.items())}}}"]
    own.write_text(
        "deployments:\n- name: nightly\n  entrypoint: flows.finetune:finetune\n  schedules:\n"
        + "\n".join(lines),
        encoding="utf-8",
    )
    said = refused(*options(tmp_path), "--deployments", str(own))
    assert "deployment nightly" in said and told in said and nothing_is_up(tmp_path)


@pytest.mark.parametrize("text", ["", "deployments: 3", "deployments:\n- name: nightly", "a: [", None])
def test_a_file_without_deployments(tmp_path: Path, text: str | None) -> None:
    own = tmp_path / "own.yaml"
    if text is not None:
        own.write_text(text, encoding="utf-8")
    assert "a prefect.yaml" in refused(*options(tmp_path), "--deployments", str(own))


def test_the_shipped_deployments_can_be_used() -> None:
    assert {entry.name for entry in read_entries(shipped_file())} >= {"finetune"}


def test_a_password_is_made_once_and_nobody_else_can_read_it(tmp_path: Path) -> None:
    made = find_credentials(tmp_path)
    assert find_credentials(tmp_path) == made and len(made) > 30
    path = credentials_file(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    with pytest.raises(InputError, match="only its owner can read"):
        find_credentials(tmp_path)


@pytest.mark.parametrize("value", ["", "no colon", "ada:short", ":lacking-a-name", "ada:gr\u00fc\u00dfe"])
def test_a_password_that_the_server_could_not_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(InputError, match="NAME:PASSWORD") as caught:
        find_credentials(tmp_path)
    assert not value or value not in str(caught.value)
