"""One form of a hub's names, for models and for data."""

import pytest

from data_contracts.hub_names import is_hub_name


@pytest.mark.parametrize("source", ["org/name", "org/name-1.5_x@main", "org/name@refs/pr/1"])
def test_names_of_the_hub(source: str) -> None:
    assert is_hub_name(source)


@pytest.mark.parametrize("source", ["name", "a/b/c", "/org/name", "org/name@", "org/name\n", "org/na me", ""])
def test_anything_else(source: str) -> None:
    assert not is_hub_name(source)
