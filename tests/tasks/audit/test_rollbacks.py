"""A rollback that breaks off anywhere, and the same command again."""

from pathlib import Path

import pytest

from data_contracts.records.base import FolderRecord
from data_contracts.records.ledger import EntryKind, LedgerEntry
from data_contracts.records.registry import Alias, ModelVersion, Rollback
from tasks.audit import rollbacks
from tasks.audit.models import list_models
from tasks.audit.rollbacks import roll_back
from tasks.evidence.ledger.book import Ledger, ledger_location, open_ledger
from tasks.registry.models import Registry, champion_of, open_registry
from tests.tasks.registry.made import candidate, crowning


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three versions, each champion once; the third is in use."""
    for variable in ("LORAFIRST_LEDGER", "LORAFIRST_REGISTRY"):
        monkeypatch.delenv(variable, raising=False)
    registry = open_registry(tmp_path)
    for number in (1, 2, 3):
        run = candidate(f"topics-{number}", output=tmp_path)
        artifact = tmp_path / run.run_id / run.artifact
        artifact.mkdir(parents=True)
        (artifact / "weights").write_text(run.run_id, encoding="utf-8")
        (tmp_path / run.run_id / "request.yaml").write_text("{}", encoding="utf-8")
        digest = FolderRecord.of(artifact).digest()
        made = registry.add(run.model_copy(update={"artifact_digest": digest}), ())
        with open_ledger(ledger_location(tmp_path)) as ledger:
            ledger.append(EntryKind.PROMOTION, run_id=run.run_id, about=digest, actor="gate promotion")
        registry.crown(made, crowning(number))
        registry.call(made, Alias.CHAMPION)
    return tmp_path


def back(output: Path, to: int | None = None) -> Rollback:
    return roll_back("topics", output=output, to=to, by="Ada", reason="complaints")


def entered(output: Path) -> list[LedgerEntry]:
    with open_ledger(ledger_location(output), read_only=True) as ledger:
        return [each for each in ledger.entries() if each.kind is EntryKind.ROLLBACK]


def in_use(output: Path) -> ModelVersion:
    (entry,) = list_models(output)
    assert entry.warnings == ()
    champion = champion_of(entry.versions)
    assert champion is not None and champion.withdrawn is None
    return champion


@pytest.mark.parametrize("to", [None, 1])
@pytest.mark.parametrize(
    ("where", "step"),
    [
        (rollbacks, "write_atomically"),
        (Ledger, "append"),
        (Registry, "withdraw"),
        (Registry, "restore"),
        (Registry, "call"),
    ],
)
def test_wherever_it_broke_off_the_same_command_finishes_it(
    output: Path, where: object, step: str, to: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(*_: object, **__: object) -> None:
        raise OSError("the power went")

    with monkeypatch.context() as patched:
        patched.setattr(where, step, cut_off)
        with pytest.raises(OSError, match="the power went"):
            back(output, to)
    done = back(output, to)
    assert (done.left_version, done.version) == (3, to or 2)
    assert in_use(output).version == (to or 2)
    (entry,) = entered(output)
    assert entry.about == done.digest(), "what is told, kept and entered is one rollback"
    withdrawn = [each.withdrawn for each in open_registry(output).versions("topics")]
    assert withdrawn == [None, None, "complaints"]


def test_what_the_ledger_holds_is_always_kept(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(rollbacks, "write_atomically", full)
    with pytest.raises(OSError, match="full"):
        back(output)
    assert entered(output) == []


def test_the_same_rollback_later_is_another_one(output: Path) -> None:
    assert back(output, 1).version == 1
    assert back(output, 3).version == 3
    assert back(output, 1).version == 1
    assert len(entered(output)) == 3 and in_use(output).version == 1
