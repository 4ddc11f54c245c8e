"""Having a run go on at a server: only where there is one, and with what it takes."""

import pytest

from data_contracts.errors import InputError
from flows.going_on import go_on, go_on_if_served, require_size
from tests.tasks.evidence.test_dossier import request


def test_settings_that_a_server_does_not_take_are_told_beforehand() -> None:
    require_size({"name": "a" * 500_000})
    with pytest.raises(InputError, match="less than 512 KiB"):
        require_size({"name": "a" * 530_000})


def test_without_a_server_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert go_on_if_served(request("run-1"), because="answered") is None


@pytest.mark.slow
@pytest.mark.usefixtures("api")
def test_a_server_without_the_deployment_is_told_what_to_do() -> None:
    """A command goes on without it: the answer is recorded, and the run is started by hand."""
    with pytest.raises(InputError, match="`lorafirst up`"):
        go_on(request("run-1"), because="answered")
    assert go_on_if_served(request("run-1"), because="answered") is None
