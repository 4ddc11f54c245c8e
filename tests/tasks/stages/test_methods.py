"""A training depends on the source of the package that brings its method."""

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from data_contracts.records.rungs import Rung
from tasks.evidence.environment import code_digest
from tasks.stages.methods import method_identity, source_digest
from tasks.training.methods import registry

METHOD = """
from data_contracts.records.rungs import Rung
from tasks.training.methods.kinds import AdapterMethod

METHOD = AdapterMethod(Rung("mine"), "{sentence}", lambda settings, place: None)
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed package that offers the method ``mine``; its file."""
    file = tmp_path / "somebodys_rungs" / "__init__.py"
    file.parent.mkdir()
    file.write_text(METHOD.format(sentence="first"), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint("mine", "somebodys_rungs:METHOD", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    new_process()
    yield file
    new_process()


def new_process() -> None:
    """Forgets what a process remembers of installed packages."""
    sys.modules.pop("somebodys_rungs", None)
    for cached in (registry.offered, registry.methods, code_digest):
        cached.cache_clear()


def test_a_changed_method_of_a_package_is_another(package: Path) -> None:
    before = method_identity("mine")
    new_process()
    assert before is not None and method_identity("mine") == before
    package.write_text(METHOD.format(sentence="second"), encoding="utf-8")
    new_process()
    after = method_identity("mine")
    assert after is not None and after["source"] != before["source"]


@pytest.mark.usefixtures("package")
def test_one_of_ours_is_in_our_own_source_already() -> None:
    assert method_identity(Rung.LORA) is None


def test_a_module_stands_for_its_whole_package(package: Path) -> None:
    (package.parent / "inner.py").write_text("A = 1\n", encoding="utf-8")
    whole = source_digest("somebodys_rungs.inner")
    (package.parent / "beside.py").write_text("B = 1\n", encoding="utf-8")
    new_process()
    assert source_digest("somebodys_rungs.inner") != whole
