"""A server that is gone is waited for once, and again only after it has answered."""

import socket
from collections.abc import Iterator

import pytest

from tasks.stages import showing
from tasks.stages.showing import shown


@pytest.fixture(autouse=True)
def known_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(showing, "_lost", False)
    yield


def test_who_does_not_answer_is_waited_for_once() -> None:
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES

    usual = PREFECT_CLIENT_MAX_RETRIES.value()
    tries: list[int] = []

    def view(answers: bool) -> bool:
        def create() -> None:
            tries.append(PREFECT_CLIENT_MAX_RETRIES.value())
            if not answers:
                raise ConnectionError("nobody there")

        return shown(create, "a view")

    assert [view(answers) for answers in (True, False, False, True, False)] == [
        True, False, False, True, False,
    ]  # fmt: skip
    assert tries == [3, 3, 0, 0, 3]
    assert PREFECT_CLIENT_MAX_RETRIES.value() == usual


def test_nothing_is_asked_of_a_server_that_was_lost_before_somebody_listens_there_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    monkeypatch.setattr(showing, "_lost", True)
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    asked: list[str] = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
        with temporary_settings({PREFECT_API_URL: url}):
            assert not shown(lambda: asked.append("bound alone"), "a view")
            listener.listen()
            assert shown(lambda: asked.append("listening"), "a view")
    assert asked == ["listening"]
    assert not showing._lost


def test_a_server_behind_a_proxy_is_asked_through_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    monkeypatch.setattr(showing, "_lost", True)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with temporary_settings({PREFECT_API_URL: "http://server.invalid:4200/api"}):
        assert shown(lambda: None, "a view")
