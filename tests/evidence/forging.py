"""Tools of whoever would tamper with a dossier and its ledger; some of them hold the pipeline's own key."""

import base64
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner

from data_contracts.kept_tables import table_file
from data_contracts.records.base import (
    FileRecord,
    canonical_json,
    digest_file,
    utc_time,
)
from data_contracts.records.manifest import Manifest
from data_contracts.records.statements import MANIFEST_PREDICATE, PAYLOAD_TYPE, STATEMENT_TYPE
from tasks.evidence.dossier import MANIFEST, REQUEST, Dossier
from tasks.evidence.signing.envelopes import envelope_bytes, sign_statement
from tasks.evidence.signing.payloads import unverified_statement

Change = Callable[[Any], Any]
"""Changes a JSON document in place, or returns another one."""


@dataclass(frozen=True)
class Forger:
    """Works on copies of its own."""

    folder: Path
    """Of the dossier."""
    ledger: Path
    key: CryptoSigner
    """The pipeline's own: what its holder can do is worse than what anybody can."""
    stranger: CryptoSigner
    """A key that stands in no keyring."""

    # Files, by anybody.

    def write(self, name: str, content: bytes) -> None:
        """Replaces a file, and not the one that the copy shares with the original."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(content)

    def edit(self, name: str, change: Change) -> None:
        """Changes a JSON file, and leaves it canonical."""
        document = json.loads((self.folder / name).read_bytes())
        self.write(name, canonical_json(change(document) or document))

    def edit_table(self, name: str, change: Callable[[dict[str, list[Any]]], None]) -> None:
        """Changes a parquet file by its columns."""
        table = pq.read_table(self.folder / name)
        columns = table.to_pydict()
        change(columns)
        (self.folder / name).unlink()
        pq.write_table(pa.table(columns, schema=table.schema), self.folder / name)

    def edit_request(self, change: Change) -> None:
        document = yaml.safe_load((self.folder / REQUEST).read_bytes())
        change(document)
        self.write(REQUEST, yaml.safe_dump(document, sort_keys=False).encode())

    # Envelopes.

    def decision_file(self, gate: str) -> str:
        """The last of this gate."""
        return f"decisions/{sorted(path.name for path in self.folder.glob(f'decisions/*-{gate}.json'))[-1]}"

    def restate(self, name: str, change: Change, signer: CryptoSigner | None) -> None:
        """Changes what an envelope says, and signs it anew."""
        statement = unverified_statement((self.folder / name).read_bytes())
        predicate = json.loads(json.dumps(statement.predicate))
        predicate = change(predicate) or predicate
        subjects = {each.name: f"sha256:{each.digest_set.sha256}" for each in statement.subject}
        self._sign(name, predicate, subjects, statement.predicate_type, signer)

    def resay(self, name: str, change: Change) -> None:
        """Changes what an envelope says under the signature that it has."""
        document = json.loads((self.folder / name).read_bytes())
        payload = json.loads(base64.b64decode(document["payload"]))
        change(payload["predicate"])
        document["payload"] = base64.b64encode(canonical_json(payload)).decode()
        self.write(name, canonical_json(document))

    def _sign(
        self, name: str, predicate: Any, subjects: Mapping[str, str], kind: str, signer: CryptoSigner | None
    ) -> None:
        statement = {
            "_type": STATEMENT_TYPE,
            "subject": [
                {"name": what, "digest": {"sha256": digest.removeprefix("sha256:")}}
                for what, digest in subjects.items()
            ],
            "predicateType": kind,
            "predicate": predicate,
        }
        envelope = Envelope(canonical_json(statement), PAYLOAD_TYPE, {})
        if signer is not None:
            envelope.sign(signer)
        self.write(name, envelope_bytes(envelope))

    # What follows from a change, by somebody who knows how it all hangs together.

    def recite(self, stage: str, change: Change) -> None:
        """Changes the evidence of a stage, and every digest of it in what cites it, all signed anew."""
        name = f"{stage}/evidence.json"
        before = digest_file(self.folder / name)
        self.edit(name, change)
        self.replace_everywhere(before, digest_file(self.folder / name))

    def rescore(self, stage: str, change: Callable[[dict[str, list[Any]]], None]) -> None:
        """Changes scores, and the digest and means that its evidence has of them."""
        self.edit_table(f"{stage}/scores.parquet", change)
        path = self.folder / stage / "scores.parquet"
        columns = pq.read_table(path).to_pydict()

        def follow(evidence: Any) -> None:
            evidence["scores"] = table_file(path, evidence["scores"]["texts"]).model_dump(mode="json")
            evidence["rows"] = len(columns["row_id"])
            for metric in evidence["metrics"]:
                if metric["per_example"]:
                    metric["value"] = sum(columns[metric["name"]]) / len(columns[metric["name"]])

        self.recite(stage, follow)

    def replace_everywhere(self, before: str, after: str) -> None:
        """Every digest ``before`` in decisions, registration, report and stages becomes ``after``."""
        names = [path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*.json")]
        for name in names:
            content = (self.folder / name).read_bytes()
            if name.startswith("decisions/"):
                told = json.dumps(unverified_statement(content).predicate)
                if before in told:
                    self.restate(name, lambda document: _replaced(document, before, after), self.key)
            elif name != MANIFEST and before.encode() in content:
                self.write(name, content.replace(before.encode(), after.encode()))

    def complete(self, signer: CryptoSigner | None, **changes: Any) -> None:
        """Makes the manifest of what there is now."""
        old = Dossier(self.folder).manifest()
        files = tuple(
            FileRecord(
                path=path.relative_to(self.folder).as_posix(),
                sha256=digest_file(path),
                size_bytes=path.stat().st_size,
            )
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and path.name != MANIFEST
        )
        manifest = old.model_copy(update={"files": files, **changes})
        assert isinstance(manifest, Manifest)
        subjects = {file.path: file.sha256 for file in manifest.files}
        self.write(MANIFEST, envelope_bytes(sign_statement(manifest, subjects, MANIFEST_PREDICATE, signer)))

    def renumber(self, keep: Callable[[list[str]], list[str]]) -> None:
        """Puts the decisions in another order, or leaves some out."""
        files = [path.name for path in sorted(self.folder.glob("decisions/*.json"))]
        contents = {name: (self.folder / "decisions" / name).read_bytes() for name in files}
        for name in files:
            (self.folder / "decisions" / name).unlink()
        for number, name in enumerate(keep(files), 1):
            self.write(f"decisions/{number:02}-{name.partition('-')[2]}", contents[name])

    # The ledger, by somebody who owns the database.

    def rewrite(self, *statements: str) -> None:
        """Runs SQL without the rules that refuse it, and puts the rules back."""
        with sqlite3.connect(self.ledger) as database:
            rules = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
            for name, _ in rules:
                database.execute(f"DROP TRIGGER {name}")
            for statement in statements:
                database.execute(statement)
            for _, sql in rules:
                database.execute(sql)

    def rechain(self, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
        """Writes the whole chain anew after ``change``, every digest right again."""
        from data_contracts.records.ledger import NOTHING_BEFORE, LedgerEntry

        with sqlite3.connect(self.ledger) as database:
            database.row_factory = sqlite3.Row
            rows = [dict(row) for row in database.execute("SELECT * FROM ledger_entries ORDER BY sequence")]
        previous, inserts = NOTHING_BEFORE, ["DELETE FROM ledger_entries"]
        for sequence, row in enumerate(change(rows), 1):
            row.update(sequence=sequence, previous=previous, entry_digest=NOTHING_BEFORE)
            entry = LedgerEntry.model_validate({**row, "clock_set_back": bool(row["clock_set_back"])})
            previous = entry.own_digest()
            values = {**entry.model_dump(mode="json"), "entry_digest": previous}
            values["clock_set_back"] = int(values["clock_set_back"])
            names = ", ".join(values)
            told = ", ".join(repr(value) for value in values.values())
            inserts.append(f"INSERT INTO ledger_entries ({names}) VALUES ({told})")
        self.rewrite(*inserts)


def copy_of(folder: Path, ledger: Path, to: Path, key: CryptoSigner, stranger: CryptoSigner) -> Forger:
    """A dossier and its ledger to tamper with; unchanged files are shared with the original."""
    shutil.copytree(folder, to / folder.name, copy_function=os.link)
    shutil.copy(ledger, to / ledger.name)
    return Forger(to / folder.name, to / ledger.name, key, stranger)


def moved(time: str, seconds: float) -> str:
    return utc_time(datetime.fromisoformat(time).astimezone(UTC) + timedelta(seconds=seconds))


def _replaced(document: Any, before: str, after: str) -> Any:
    return json.loads(json.dumps(document).replace(before, after))
