"""Code and versions are part of what a stage's key names."""

import subprocess
from pathlib import Path

import pytest

from tasks.evidence.environment import capture_environment, code_digest, package_versions


def test_a_changed_source_file_changes_the_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "changing"
    package.mkdir()
    (package / "__init__.py").write_text("a = 1\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = code_digest("changing")
    (package / "__init__.py").write_text("a = 2\n", encoding="utf-8")
    code_digest.cache_clear()
    assert code_digest("changing") != before


def test_versions_name_what_is_absent() -> None:
    assert package_versions(["numpy", "no-such-package"])["no-such-package"] == "absent"


def test_an_environment_knows_the_machine() -> None:
    environment = capture_environment()
    assert environment.memory_bytes > 2**28
    assert environment.packages["torch"].startswith("2.")


def test_an_environment_knows_the_commit_of_the_checkout() -> None:
    root = Path(__file__).resolve().parents[3]
    environment = capture_environment()
    if not (root / ".git").exists():
        assert (environment.commit, environment.commit_is_clean) == (None, None)
        return
    said = [
        subprocess.run(["git", "-C", str(root), *asked], capture_output=True, text=True, check=True).stdout
        for asked in (("rev-parse", "HEAD"), ("status", "--porcelain"))
    ]
    assert environment.commit == said[0].strip()
    assert environment.commit_is_clean is (said[1].strip() == "")
