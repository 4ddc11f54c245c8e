"""A server that is gone is waited for once, and again only after it has answered."""

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
