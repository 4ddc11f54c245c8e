"""Texts leave a dossier whole, cannot be guessed from what stays, and all that stays still verifies."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from data_contracts.errors import ArtifactDamagedError
from data_contracts.records.base import canonical_json, digest_file
from data_contracts.records.ledger import EntryKind
from data_contracts.records.verification import Verification
from data_contracts.row_salts import COMMITMENT, NAME, SALT, opens
from flows.command_line import app
from flows.commands.failing import EXIT_FAULT, EXIT_INPUT
from tasks.audit.rescoring import rescore_dossier
from tasks.audit.verify.verifying import verify_dossier
from tasks.data.likeness.earlier import find_earlier
from tasks.data.rows.splitting import row_id
from tasks.evidence import redacting
from tasks.evidence.dossier import Dossier
from tasks.evidence.ledger.book import open_ledger
from tasks.evidence.redacting import Author, redact_dossier
from tasks.evidence.redaction import (
    REDACTION,
    check_redacted,
    read_redaction,
    still_holding,
    table_faults,
    tables_of,
)
from tests.flows.conftest import ANSWERED

pytestmark = pytest.mark.slow

AUTHOR = Author("Ada", "the rows were withdrawn", datetime(2026, 1, 2, tzinfo=UTC))
GATE = "snapshot/gate.parquet"
SCORES = "pilot-1-lora-r8/gate/scores.parquet"


def call(*arguments: str, answer: str | None = None) -> Any:
    return CliRunner().invoke(app, list(arguments), input=answer)


def redact(dossier: Path, *options: str, answer: str | None = None) -> Any:
    return call(
        "redact", str(dossier), "--reason", AUTHOR.reason, "--by", AUTHOR.name, *options, answer=answer
    )


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): digest_file(path) for path in folder.rglob("*") if path.is_file()
    }


def told(folder: Path) -> str:
    """Everything that the files of a dossier say: bytes as they are, and each value of each table."""
    said = []
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".parquet":
            said += [str(pq.read_metadata(path).metadata), str(pq.read_table(path).to_pylist())]
        elif path.is_file() and path.suffix != ".safetensors":
            said.append(path.read_bytes().decode("utf-8", "replace"))
    return "\n".join(said)


def verified(folder: Path) -> Verification:
    with open_ledger(str(folder.parent / "ledger.sqlite"), read_only=True) as ledger:
        return verify_dossier(folder, ledger=ledger)


@pytest.fixture
def dossier(answered: Path, tmp_path: Path) -> Path:
    """A copy with store, ledger and looks, whose files are shared as a run shares them."""
    output = tmp_path / "runs"
    shutil.copytree(answered.parent, output, copy_function=os.link)
    (output / "ledger.sqlite").unlink()
    shutil.copy(answered.parent / "ledger.sqlite", output)
    return output / answered.name


@pytest.fixture
def redacted(dossier: Path) -> Path:
    assert redact_dossier(Dossier(dossier), AUTHOR) is not None
    return dossier


def answers_in(folder: Path) -> set[str]:
    return {
        line[name]
        for path in folder.rglob("scores.parquet")
        for line in pq.read_table(path).to_pylist()
        for name in ("answer", "reference")
    }


# What is gone, and what is not.


def test_no_text_and_no_identity_of_one_is_left_in_any_file(answered: Path, redacted: Path) -> None:
    before, after = told(answered), told(redacted)
    rows = [row for row in ANSWERED if row[0] in before]
    assert len(rows) == len(ANSWERED)
    for prompt, completion, _ in ANSWERED:
        identity = row_id({"prompt": prompt, "completion": completion})
        assert identity in before
        for secret in (prompt, prompt.encode("unicode_escape").decode(), identity):
            assert secret not in after
    answers = answers_in(answered)
    assert any(len(each) > 8 for each in answers) and "école" in before
    assert not [each for each in answers if len(each) > 8 and each in after]
    assert "école" not in after and "wing 1" in before and "wing 1" not in after
    for path in redacted.rglob("*.parquet"):
        assert {SALT, NAME, "prompt", "completion", "topic", "answer", "reference"}.isdisjoint(
            pq.read_schema(path).names
        )


def test_what_is_kept_is_as_it_was_and_rows_still_belong_together(answered: Path, redacted: Path) -> None:
    for path, record in tables_of(Dossier(answered)).items():
        before, after = pq.read_table(answered / path), pq.read_table(redacted / path)
        gone = {*record.texts, SALT, NAME}
        assert after.column_names == [name for name in before.column_names if name not in gone]
        for name in set(after.column_names) - {"row_id"}:
            assert after[name].equals(before[name])
    names = pq.read_table(redacted / GATE)["row_id"].to_pylist()
    assert names == [value.hex()[:32] for value in pq.read_table(answered / GATE)[COMMITMENT].to_pylist()]
    assert pq.read_table(redacted / SCORES)["row_id"].to_pylist() == names
    accepted = pq.read_table(redacted / "contract/accepted.parquet").to_pylist()
    assert {row["row_id"] for row in accepted if row["split"] == "gate"} == set(names)


def test_everything_else_is_byte_for_byte_as_it_was(answered: Path, redacted: Path) -> None:
    before, after = contents(answered), contents(redacted)
    record = read_redaction(Dossier(redacted))
    assert record is not None
    changed = {each.before.path: each.after and each.after.sha256 for each in record.files}
    assert set(changed) == {*tables_of(Dossier(answered)), "snapshot/examples.html"}
    assert {path: digest for path, digest in after.items() if path != REDACTION} == {
        **{path: digest for path, digest in before.items() if path not in changed},
        **{path: digest for path, digest in changed.items() if digest},
    }
    assert (record.redacted_by, record.reason) == (AUTHOR.name, AUTHOR.reason)
    assert record.redacted_at.startswith("2026-01-02T00:00:00")


def test_it_verifies_and_says_what_was_removed(redacted: Path) -> None:
    assert check_redacted(Dossier(redacted)) == () and still_holding(Dossier(redacted)) == ()
    found = verified(redacted)
    assert found.faults == ()
    (files,) = (each for each in found.checks if each.check.value == "files")
    assert "removed by Ada at 2026-01-02" in files.note and AUTHOR.reason in files.note
    assert "start it again" not in files.note
    assert any("removed texts" in sentence for sentence in found.not_proven)
    asked = rescore_dossier(found, redacted, rows=3)
    assert asked.faults == () and "were removed" in asked.checks[-1].note
    assert any("--rescore" in sentence for sentence in asked.not_proven)


def test_the_unredacted_dossier_opens_its_commitments_and_a_kept_row_proves_itself(
    answered: Path, redacted: Path
) -> None:
    assert list(table_faults(Dossier(answered))) == []
    kept = pq.read_table(answered / GATE).to_pylist()[0]
    (left,) = [
        row for row in pq.read_table(redacted / GATE).to_pylist() if row[COMMITMENT] == kept[COMMITMENT]
    ]
    texts = {name: kept[name] for name in tables_of(Dossier(redacted))[GATE].texts}
    assert set(texts) == {"prompt", "completion", "topic"}
    assert opens(left[COMMITMENT], kept[SALT], texts)
    assert not opens(left[COMMITMENT], kept[SALT], {**texts, "completion": texts["completion"] + "!"})


def test_other_views_go_on_and_those_of_texts_say_why_not(redacted: Path, tmp_path: Path) -> None:
    for command in ("show", "explain"):
        assert call(command, str(redacted)).exit_code == 0
    result = call("answers", str(redacted))
    assert result.exit_code == EXIT_INPUT and "texts Ada removed" in result.output
    with pytest.raises(Exception, match="were removed"):
        find_earlier((str(redacted / "snapshot"),))
    assert call("export", str(redacted), "--to", str(tmp_path / "a.zip")).exit_code == 0
    shutil.unpack_archive(tmp_path / "a.zip", tmp_path / "out")
    assert verify_dossier(tmp_path / "out" / redacted.name).faults == ()


# How it is asked for.


def test_it_asks_first_and_a_no_changes_nothing(dossier: Path) -> None:
    before = contents(dossier)
    refused = redact(dossier, answer="n\n")
    assert refused.exit_code == EXIT_INPUT and "Nothing was changed" in refused.output
    assert contents(dossier) == before
    accepted = redact(dossier, answer="y\n")
    assert accepted.exit_code == 0 and still_holding(Dossier(dossier)) == ()
    for told_of in (GATE, SCORES, "the store: contract-", "the source: rows.jsonl", ".looks/looks.jsonl"):
        assert told_of in refused.output
    assert "another dossier" not in refused.output
    assert "weights can repeat" in accepted.output


def test_neither_the_store_nor_other_dossiers_are_touched_unless_asked(answered: Path, dossier: Path) -> None:
    output = dossier.parent
    other = output / "other-run"
    shutil.copytree(dossier, other, copy_function=os.link)
    before = contents(output / ".store"), contents(other)
    assert os.stat(dossier / GATE).st_ino == os.stat(other / GATE).st_ino
    first = json.loads(redact(dossier, "--yes", "--json").stdout)
    assert (contents(output / ".store"), contents(other)) == before
    assert first["copies"]["dossiers"] == ["other-run"]
    stages = {name.partition("-")[0] for name in first["copies"]["store"]}
    assert stages == {"contract", "snapshot", "score"} and first["removed_from_store"] == []
    second = json.loads(redact(dossier, "--yes", "--json", "--store").stdout)
    assert second["already"] and second["removed_from_store"] == first["copies"]["store"]
    assert second["copies"]["store"] == [] and contents(other) == before[1]
    left = {path.name.partition("-")[0] for path in (output / ".store").iterdir() if path.is_dir()}
    assert left == {"train", "distance"}
    assert contents(answered)[GATE] == contents(other)[GATE]


def test_it_is_entered_in_the_ledger_once(redacted: Path) -> None:
    record = read_redaction(Dossier(redacted))
    assert record is not None
    assert redact(redacted, "--yes").exit_code == 0
    with open_ledger(str(redacted.parent / "ledger.sqlite"), read_only=True) as ledger:
        entries = [each for each in ledger.entries() if each.kind is EntryKind.REDACTION]
    assert [(each.about, each.actor, each.run_id) for each in entries] == [
        (record.digest(), "Ada", redacted.name)
    ]


def test_a_dossier_that_was_handed_on_makes_no_ledger(answered: Path, tmp_path: Path) -> None:
    alone = shutil.copytree(answered, tmp_path / "mail" / answered.name)
    assert redact_dossier(Dossier(Path(alone)), AUTHOR) is not None
    assert {path.name for path in (tmp_path / "mail").iterdir()} == {answered.name, ".locks"}
    assert check_redacted(Dossier(Path(alone))) == ()


def test_a_second_time_nothing_is_left_to_do(redacted: Path) -> None:
    before = contents(redacted)
    result = redact(redacted, "--yes")
    assert result.exit_code == 0 and "had been redacted before" in result.output
    assert contents(redacted) == before


def test_a_dossier_without_rows_has_nothing_to_redact(dossier: Path) -> None:
    """As one of a run whose tables were never kept; its manifest is made up to fit."""
    from tests.tasks.evidence.made import finish

    for name in ("contract", "snapshot", "baseline", "pilot-1-lora-r8"):
        shutil.rmtree(dossier / name)
    finish(Dossier(dossier))
    result = redact(dossier, "--yes")
    assert result.exit_code == 0 and "holds no texts" in result.output
    assert not (dossier / REDACTION).exists()


def test_what_cannot_be_redacted_is_left_alone(dossier: Path) -> None:
    def refused(code: int, *words: str, options: tuple[str, ...] = ("--yes",)) -> None:
        before = contents(dossier)
        result = redact(dossier, *options)
        assert result.exit_code == code and "Traceback" not in result.output, result.output
        for word in words:
            assert word in result.output
        assert contents(dossier) == before

    refused(EXIT_INPUT, "--yes beside it", options=("--json",))
    refused(EXIT_INPUT, "--by", "some words", options=("--yes", "--by", "  "))
    for name in ("report.html", GATE):
        whole = (dossier / name).read_bytes()
        (dossier / name).unlink()
        (dossier / name).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        refused(EXIT_FAULT, name, "it was changed", "restore these files")
        with pytest.raises(ArtifactDamagedError, match="it was changed"):
            redact_dossier(Dossier(dossier), AUTHOR)
        (dossier / name).write_bytes(whole)
    (dossier / "snapshot" / "more.parquet").write_bytes(b"")
    refused(EXIT_FAULT, "snapshot/more.parquet", "it was added")
    (dossier / "snapshot" / "more.parquet").unlink()
    (dossier / "manifest.json").rename(dossier / "other")
    refused(EXIT_INPUT, "a run that has ended", "start the run again")


# Broken off.


class Killed(BaseException):
    """As kill -9, as far as a process can do it to itself."""


def dying(call_of: Callable[..., Any], at: int) -> Callable[..., Any]:
    """``call_of``, which is not come to the time after the first ``at`` times."""
    left = iter(range(at))

    def do(*arguments: Any, **named: Any) -> Any:
        if next(left, None) is None:
            raise Killed
        return call_of(*arguments, **named)

    return do


STEPS: list[tuple[Any, str, int]] = [
    (redacting, "_stage", 0),
    (redacting, "_stage", 4),
    (redacting, "_enter", 0),
    (redacting, "write_atomically", 0),
    *((redacting, "flush_folder", at) for at in range(11)),
    *((redacting.os, "replace", at) for at in (1, 5)),
]


@pytest.mark.parametrize(("module", "name", "at"), STEPS, ids=[f"{name}-{at}" for _, name, at in STEPS])
def test_killed_at_any_step_it_is_valid_and_goes_on_when_started_again(
    answered: Path, dossier: Path, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, at: int
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, name, dying(getattr(module, name), at))
        with pytest.raises(Killed):
            redact_dossier(Dossier(dossier), AUTHOR)
    committed = (dossier / REDACTION).exists()
    assert committed == (contents(dossier) != contents(answered))
    assert check_redacted(Dossier(dossier)) == ()
    found = verified(dossier)
    assert found.faults == ()
    left = still_holding(Dossier(dossier))
    notes = "".join(each.note for each in found.checks)
    assert (f"{len(left)} files still hold theirs" in notes) == bool(committed and left)
    somebody = Author("Bob", "another reason", datetime(2026, 5, 5, tzinfo=UTC))
    record = redact_dossier(Dossier(dossier), somebody)
    assert record is not None and record.redacted_by == ("Ada" if committed else "Bob")
    assert still_holding(Dossier(dossier)) == () and verified(dossier).faults == ()
    assert not list(dossier.parent.glob(".redacting*"))


KILLED = """
import os, sys
from datetime import datetime, UTC
from pathlib import Path
from tasks.evidence import redacting
from tasks.evidence.dossier import Dossier

times = iter(range(int(sys.argv[2])))
keep = getattr(redacting, sys.argv[3])
def until(*arguments):
    if next(times, None) is None:
        os._exit(9)
    return keep(*arguments)
setattr(redacting, sys.argv[3], until)
author = redacting.Author("Ada", "withdrawn", datetime.now(UTC))
redacting.redact_dossier(Dossier(Path(sys.argv[1])), author)
"""


@pytest.mark.parametrize(("at", "name"), [(3, "_stage"), (4, "flush_folder")])
def test_a_process_that_is_gone_at_once_leaves_nothing_in_the_way(dossier: Path, at: int, name: str) -> None:
    gone = subprocess.run([sys.executable, "-c", KILLED, str(dossier), str(at), name])
    assert gone.returncode == 9
    assert (dossier.parent / f".redacting-{dossier.name}").is_dir()
    assert check_redacted(Dossier(dossier)) == () and verified(dossier).faults == ()
    assert redact(dossier, "--yes").exit_code == 0
    assert still_holding(Dossier(dossier)) == () and verified(dossier).faults == ()
    assert not list(dossier.parent.glob(".redacting*"))


def test_two_at_once_do_not_meet(dossier: Path) -> None:
    with redacting._staging(Dossier(dossier)):
        result = redact(dossier, "--yes")
    assert result.exit_code == EXIT_INPUT and "another process" in result.output


# Whoever would use a redaction to change something.


def relist(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads((folder / REDACTION).read_bytes())
    change(document)
    (folder / REDACTION).write_bytes(canonical_json(document))


def rewrite(folder: Path, name: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Another table, which the redaction then names as if it had been made by it."""
    pq.write_table(change(pq.read_table(folder / name)), folder / name)
    after = {
        "path": name,
        "sha256": digest_file(folder / name),
        "size_bytes": (folder / name).stat().st_size,
    }

    def follow(document: dict[str, Any]) -> None:
        for each in document["files"]:
            if each["before"]["path"] == name:
                each["after"] = after

    relist(folder, follow)


def _a_score(folder: Path) -> None:
    def better(table: pa.Table) -> pa.Table:
        values = table["completion_loss"].to_numpy() - 1.0
        at = table.column_names.index("completion_loss")
        return table.set_column(at, "completion_loss", pa.array(values))

    rewrite(folder, SCORES, better)


def _a_row_gone(folder: Path) -> None:
    rewrite(folder, GATE, lambda table: table.slice(1))


def _texts_put_back(folder: Path) -> None:
    def put(table: pa.Table) -> pa.Table:
        return table.append_column("prompt", pa.array(["made up"] * table.num_rows))

    rewrite(folder, GATE, put)


def _another_commitment(folder: Path) -> None:
    def other(table: pa.Table) -> pa.Table:
        values = [bytes(32), *table[COMMITMENT].to_pylist()[1:]]
        at = table.column_names.index(COMMITMENT)
        return table.set_column(at, COMMITMENT, pa.array(values, pa.binary(32)))

    rewrite(folder, GATE, other)


def _another_name(folder: Path) -> None:
    def other(table: pa.Table) -> pa.Table:
        values = ["0" * 32, *table["row_id"].to_pylist()[1:]]
        return table.set_column(table.column_names.index("row_id"), "row_id", pa.array(values))

    rewrite(folder, SCORES, other)


def _a_column_more(folder: Path) -> None:
    rewrite(folder, GATE, lambda table: table.append_column("more", pa.array([0] * table.num_rows)))


def _another_file_called_redacted(folder: Path) -> None:
    manifest = {file.path: file for file in Dossier(folder).manifest().files}
    (folder / "report.html").write_text("all was well")
    size = (folder / "report.html").stat().st_size
    after = {"path": "report.html", "sha256": digest_file(folder / "report.html"), "size_bytes": size}
    before = manifest["report.html"].model_dump(mode="json")
    relist(folder, lambda document: document["files"].append({"before": before, "after": after}))


def _a_file_called_removed(folder: Path) -> None:
    manifest = {file.path: file for file in Dossier(folder).manifest().files}
    (folder / "registration.json").unlink()
    before = manifest["registration.json"].model_dump(mode="json")
    relist(folder, lambda document: document["files"].append({"before": before, "after": None}))


def _another_run(folder: Path) -> None:
    relist(folder, lambda document: document.update(run_id="other"))


def _another_manifest(folder: Path) -> None:
    relist(folder, lambda document: document.update(manifest="sha256:" + "0" * 64))


def _another_before(folder: Path) -> None:
    relist(folder, lambda document: document["files"][0]["before"].update(size_bytes=1))


def _listed_twice(folder: Path) -> None:
    relist(folder, lambda document: document["files"].append(document["files"][0]))


def _listed_and_not_there(folder: Path) -> None:
    (folder / GATE).unlink()


def _no_record_of_it(folder: Path) -> None:
    (folder / REDACTION).unlink()


def _no_record_that_can_be_read(folder: Path) -> None:
    (folder / REDACTION).write_text("{")


def _evidence_of_another_table(folder: Path) -> None:
    path = folder / "snapshot" / "evidence.json"
    document = json.loads(path.read_bytes())
    document["splits"][0]["file"]["kept"] = "sha256:" + "0" * 64
    path.unlink()
    path.write_bytes(canonical_json(document))


FORGERIES: list[tuple[Callable[[Path], None], str, str]] = [
    (_a_score, SCORES, "what is kept of it is not what its evidence names"),
    (_a_row_gone, GATE, "what is kept of it is not what its evidence names"),
    (_texts_put_back, GATE, "it holds texts, and is not the file that held them"),
    (_another_commitment, GATE, "what is kept of it is not what its evidence names"),
    (_another_name, SCORES, "what is kept of it is not what its evidence names"),
    (_a_column_more, GATE, "what is kept of it is not what its evidence names"),
    (_another_file_called_redacted, REDACTION, "of which no evidence says what is kept"),
    (_another_file_called_redacted, "report.html", "bytes; the manifest says"),
    (_a_file_called_removed, REDACTION, "was removed, which is never done"),
    (_a_file_called_removed, "registration.json", "it is not there"),
    (_another_run, REDACTION, "it is of the run other"),
    (_another_manifest, REDACTION, "beside another manifest"),
    (_another_before, REDACTION, "what the manifest does not"),
    (_listed_twice, REDACTION, "lists a file twice"),
    (_listed_and_not_there, GATE, "it is not there"),
    (_no_record_of_it, GATE, "bytes; the manifest says"),
    (_no_record_that_can_be_read, REDACTION, "cannot be read as Redaction"),
    (_evidence_of_another_table, "snapshot/evidence.json", "it was changed"),
]


@pytest.mark.parametrize(
    ("forge", "where", "what"), FORGERIES, ids=[f"{each[0].__name__}-{each[1]}" for each in FORGERIES]
)
def test_a_redaction_hides_no_change(
    redacted: Path, forge: Callable[[Path], None], where: str, what: str
) -> None:
    for path in redacted.rglob("*"):  # what is shared with other tests is not written to
        if path.is_file():
            content = path.read_bytes()
            path.unlink()
            path.write_bytes(content)
    forge(redacted)
    found = check_redacted(Dossier(redacted))
    assert [fault for fault in found if fault.where == where and what in fault.what], found
    assert set(found) <= set(verified(redacted).faults)


def test_evidence_that_names_what_lies_outside_is_refused(redacted: Path, tmp_path: Path) -> None:
    path = redacted / "snapshot" / "evidence.json"
    document = json.loads(path.read_bytes())
    document["rejected"]["path"] = "../../outside.parquet"
    path.unlink()
    path.write_bytes(canonical_json(document))
    with pytest.raises(ArtifactDamagedError, match="outside its folder"):
        still_holding(Dossier(redacted))


@pytest.fixture
def changed_texts(dossier: Path) -> Iterator[Path]:
    """A dossier in which somebody wrote other words under the old commitments."""
    table = pq.read_table(dossier / GATE)
    at = table.column_names.index("prompt")
    other = pa.array(["made up", *table["prompt"].to_pylist()[1:]])
    (dossier / GATE).unlink()
    pq.write_table(table.set_column(at, "prompt", other), dossier / GATE)
    yield dossier


def test_other_words_do_not_open_their_commitments(changed_texts: Path) -> None:
    (fault,) = table_faults(Dossier(changed_texts))
    assert fault.where == GATE and "the texts of 1 rows are not what was committed to" in fault.what
