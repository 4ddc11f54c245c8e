import hashlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.records.settings import SplitSettings
from data_contracts.records.snapshot import Split
from tasks.data.rows.columns import Form
from tasks.data.rows.row_batches import Column, RowBatch
from tasks.data.rows.splitting import questions, row_id, row_ids, split_of

SHARES = SplitSettings()


def batch_of(**columns: list[object]) -> RowBatch:
    form = Form.MESSAGES if "messages" in columns else Form.CLASSIFICATION
    return RowBatch(form, 0, "a.jsonl", 1, {n: Column.of_values(v) for n, v in columns.items()}, {})


def splits_of(texts: list[str]) -> list[Split]:
    return [split_of(key, SHARES) for key in questions(batch_of(text=texts, label=["x"] * len(texts)))]


@given(st.lists(st.text(), max_size=20), st.lists(st.text(), max_size=20))
def test_adding_rows_never_moves_a_row(before: list[str], added: list[str]) -> None:
    assert splits_of(added + before)[len(added) :] == splits_of(before)


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_the_same_question_in_other_dress_shares_its_split(text: str) -> None:
    assert len(set(splits_of([text, f"  {text}\n", text.replace(" ", "\t ")]))) == 1


def test_case_width_and_white_space_do_not_make_another_question() -> None:
    batch = batch_of(text=["Hello  World", "hello world", "ｈｅｌｌｏ world"], label=["x"] * 3)
    assert len(set(questions(batch))) == 1
    assert len(set(row_ids(batch))) == 3


KEYS = [f"question {n}" for n in range(5000)]


@pytest.mark.parametrize("rotation", [0, 1])
def test_shares_are_met_about(rotation: int) -> None:
    shares = SplitSettings(rotation=rotation)
    counts = Counter(split_of(key, shares) for key in KEYS)
    for split in Split:
        assert abs(counts[split] / len(KEYS) - getattr(shares, split)) < 0.02


def test_a_rotation_draws_other_rows_independently() -> None:
    before, after = (
        {key for key in KEYS if split_of(key, SplitSettings(rotation=rotation)) is Split.GATE}
        for rotation in (1, 2)
    )
    assert abs(len(before & after) / len(before) - SplitSettings().gate) < 0.05


def test_sealed_rows_stay_sealed_whatever_the_other_shares_are() -> None:
    sealed = {
        frozenset(key for key in KEYS if split_of(key, shares) is Split.RESERVE)
        for shares in (SHARES, SplitSettings(train=0.2, tune=0.3), SplitSettings(train=0.8, tune=0.02))
    }
    assert len(sealed) == 1


def test_a_row_stays_where_it_was_from_version_to_version() -> None:
    shares = SplitSettings(train=0.7, tune=0.1, reserve=0.0)
    splits = ",".join(split_of(key, shares) for key in KEYS)
    assert (
        hashlib.sha256(splits.encode()).hexdigest()
        == "5325d4463d59a8c7e297acee8f1f4881ae11a8b08e1af00770558cf2f8db7428"
    )


def talk(*contents: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(contents)]


def test_a_conversation_is_known_by_what_comes_before_its_first_answer() -> None:
    batch = batch_of(messages=[talk("Hi", "a"), talk("Hi", "b"), talk("Ho", "a")])
    keys = questions(batch)
    assert keys[0] == keys[1] != keys[2]
    assert len(set(row_ids(batch))) == 3


def test_a_conversation_and_its_continuation_share_a_split() -> None:
    short, long = talk("Hi", "a"), talk("Hi", "a", "And?", "b")
    batch = batch_of(messages=[short, long])
    assert len(set(questions(batch))) == 1


def test_a_system_turn_is_part_of_the_question() -> None:
    system = [{"role": "system", "content": "Be brief."}]
    batch = batch_of(messages=[talk("Hi", "a"), system + talk("Hi", "a")])
    assert len(set(questions(batch))) == 2


def test_the_identity_of_a_row_is_fixed_for_all_time() -> None:
    batch = batch_of(text=["a"], label=["b"])
    expected = hashlib.sha256(b'{"label":"b","text":"a"}').hexdigest()[:32]
    assert row_ids(batch) == [expected]
    assert split_of("c", SplitSettings(train=0.7, tune=0.1)) is Split.RESERVE
    assert split_of("c", SplitSettings(train=0.7, tune=0.1, rotation=1)) is Split.TRAIN


def test_data_sampled_by_a_hash_of_its_text_is_split_like_any_other() -> None:
    words = [f"word {number}" for number in range(20_000)]
    sample = sorted(words, key=lambda word: hashlib.sha256(word.encode()).hexdigest())[:1000]
    shares = SplitSettings(train=0.5, tune=0.25, reserve=0.0)
    train = sum(split_of(word, shares) is Split.TRAIN for word in sample)
    assert 440 < train < 560  # 500, give or take four standard deviations


TEXTS = st.text(alphabet=st.characters(codec="utf-8"))


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5))
def test_identities_made_quickly_are_those_of_canonical_json(pairs: list[tuple[str, str]]) -> None:
    texts, labels = zip(*pairs, strict=True)
    expected = [row_id({"text": text, "label": label}) for text, label in pairs]
    assert row_ids(batch_of(text=list(texts), label=list(labels))) == expected
