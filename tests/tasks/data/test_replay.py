"""What may be replayed: good general rows, and nothing that is held out or judged by."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from data_contracts.errors import InputError
from data_contracts.records.base import digest_file
from data_contracts.records.metrics import Task
from data_contracts.records.settings import DataSettings, ReplayColumns, ReplaySettings, SplitSettings
from data_contracts.records.snapshot import ReplayEvidence
from tasks.data.checking.contract import check_contract, load_contract
from tasks.data.checking.replay import REPLAYED, check_replay, replay_data
from tasks.data.likeness.earlier import EarlierSnapshots
from tasks.data.reading.sources import read_rows
from tasks.data.snapshot.freezing import freeze_snapshot

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SPLITS = SplitSettings(train=0.5, tune=0.1, reserve=0.2)
HELD_OUT = ("tune", "gate", "reserve")


class Replaying:
    """A snapshot of dialogues, and the check of what is to be replayed beside it."""

    def __init__(self, folder: Path, tokenizer: "PreTrainedTokenizerBase", texts: list[str]) -> None:
        self.folder, self.tokenizer = folder, tokenizer
        self.snapshot = folder / "snapshot"
        checked = folder / "checked"
        source = self.write("own.jsonl", [{"text": text} for text in texts])
        evidence = check_contract(
            read_rows(DataSettings(source=source), Task.COMPLETION),
            contract=load_contract(None, Task.COMPLETION),
            task=Task.COMPLETION,
            tokenizer=tokenizer,
            max_tokens=64,
            splits=SPLITS,
            folder=checked,
        )
        self.snapshot.mkdir()
        freeze_snapshot(checked, evidence, self.snapshot)

    def write(self, name: str, rows: list[dict[str, Any]]) -> str:
        path = self.folder / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return str(path)

    def __call__(self, texts: list[str], name: str = "replay") -> ReplayEvidence:
        source = self.write("general.jsonl", [{"body": text} for text in texts])
        replay = ReplaySettings(source=source, columns=ReplayColumns(text="body"))
        folder = self.folder / name
        folder.mkdir()
        return check_replay(
            read_rows(replay_data(replay), Task.COMPLETION),
            task=Task.COMPLETION,
            tokenizer=self.tokenizer,
            max_tokens=64,
            splits=SPLITS,
            snapshots=EarlierSnapshots((self.snapshot,)),
            folder=folder,
        )

    def own(self, split: str) -> list[str]:
        return list(pd.read_parquet(self.snapshot / f"{split}.parquet")["text"])

    def replayed(self, name: str = "replay") -> list[str]:
        return list(pd.read_parquet(self.folder / name / REPLAYED)["text"])


@pytest.fixture
def replaying(tmp_path: Path, chat_tokenizer: "PreTrainedTokenizerBase", dialogues: list[str]) -> Replaying:
    long = [text for text in dialogues if len(text.split()) > 15]
    return Replaying(tmp_path, chat_tokenizer, long[:300])


def test_no_row_that_is_held_out_is_replayed(replaying: Replaying) -> None:
    held = [text for split in HELD_OUT for text in replaying.own(split)]
    replaying([*held, *(text.upper() for text in held), *replaying.own("train")])
    assert replaying.replayed() and set(replaying.replayed()) <= set(replaying.own("train"))


def test_nothing_nearly_like_a_gate_row_is_replayed(replaying: Replaying, dialogues: list[str]) -> None:
    gates = [text for split in ("gate", "reserve") for text in replaying.own(split)]
    # One word more moves about half of them to the side of train.
    evidence = replaying([*(f"{text} indeed" for text in gates), *dialogues[5000:5200]])
    assert evidence.rows_like_gate > 0.3 * len(gates)
    replayed = replaying.replayed()
    assert replayed and not any(text.endswith(" indeed") for text in replayed)


def test_rows_that_break_a_rule_are_left_out_and_counted(replaying: Replaying, dialogues: list[str]) -> None:
    good = dialogues[5000:5100]
    evidence = replaying([*good, "lost \ufffd", "", good[0]])
    assert evidence.rows_read == 103 and evidence.rows_broken == 3
    # The others ask what would lie in another split.
    assert 0.3 * 100 < evidence.rows < 0.7 * 100
    assert evidence.file.sha256 == digest_file(replaying.folder / "replay" / REPLAYED)
    assert sorted(path.name for path in (replaying.folder / "replay").iterdir()) == [REPLAYED]


def test_the_order_of_the_source_changes_nothing_but_salts(
    replaying: Replaying, dialogues: list[str]
) -> None:
    for name, texts in (("there", dialogues[5000:5100]), ("back", dialogues[5099:4999:-1])):
        assert replaying(texts, name).file.texts == ("text",)
    there, back = (
        pd.read_parquet(replaying.folder / name / REPLAYED, columns=["row_id", "text"])
        for name in ("there", "back")
    )
    assert len(there) > 20 and there.equals(back)


def test_a_source_of_which_nothing_is_left_is_refused(replaying: Replaying) -> None:
    with pytest.raises(InputError, match="none of") as refused:
        replaying(replaying.own("gate"))
    assert "training.replay.source" in str(refused.value)
