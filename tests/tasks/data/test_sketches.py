import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.likeness.shingles import jaccard, shingles_of
from tasks.data.likeness.sketches import Sketches, candidate_pairs, cross_pairs, similarity, sketch

TEXTS = st.text(alphabet=st.characters(codec="utf-8"), max_size=60)


def words_of(generator: np.random.Generator, count: int) -> list[str]:
    return [f"w{number}" for number in generator.integers(0, 10_000, count)]


def with_changed_words(words: list[str], changed: int) -> list[str]:
    step = len(words) // (changed + 1)
    return [f"x{i}" if i % step == step - 1 and i // step < changed else w for i, w in enumerate(words)]


@pytest.mark.parametrize(
    ("left", "right", "similar"),
    [
        ("Hello, World again!", "hello world   again", 1.0),
        ("ｈｅｌｌｏ world again", "hello world again", 1.0),
        ("one two three four", "one two three five", 1 / 3),
        ("one two", "one two", 1.0),
        ("one two", "two one", 0.0),
        ("one", "two", 0.0),
        ("", "", 0.0),
        ("日本語の文章です", "日本語の文章だ", 4 / 7),
        ("a b c", "a b cc", 0.0),
    ],
)
def test_similarity_is_that_of_the_sets_of_word_triples(left: str, right: str, similar: float) -> None:
    shingles = shingles_of(pa.array([left, right]))
    assert jaccard(shingles.of(0), shingles.of(1)) == pytest.approx(similar)


@given(st.lists(st.one_of(st.none(), TEXTS), min_size=1, max_size=6))
def test_a_text_has_the_same_shingles_whatever_stands_around_it(texts: list[str | None]) -> None:
    together = shingles_of(pa.array(texts, pa.string()))
    for index, text in enumerate(texts):
        alone = shingles_of(pa.array([text], pa.string()))
        assert together.of(index).tolist() == alone.of(0).tolist()


def test_a_slice_of_an_array_has_its_own_shingles() -> None:
    texts = pa.array(["one two three", "four five six seven", "eight nine ten"])
    assert shingles_of(texts.slice(1, 1)).of(0).tolist() == shingles_of(texts).of(1).tolist()


@pytest.mark.parametrize("changed", [1, 2, 4])
def test_estimates_lie_about_the_exact_similarity(changed: int) -> None:
    generator = np.random.default_rng(changed)
    pairs = [words_of(generator, 100) for _ in range(200)]
    left = shingles_of(pa.array([" ".join(words) for words in pairs]))
    right = shingles_of(pa.array([" ".join(with_changed_words(words, changed)) for words in pairs]))
    exact = np.array([jaccard(left.of(i), right.of(i)) for i in range(len(pairs))])
    error = similarity(sketch(left), sketch(right)) - exact
    assert abs(error.mean()) < 0.01
    assert error.std() < 0.05


def test_pairs_at_the_threshold_are_found_and_strangers_are_not() -> None:
    generator = np.random.default_rng(0)
    texts = [words_of(generator, 100) for _ in range(500)]
    near = [with_changed_words(words, 3) for words in texts]
    sketches = sketch(shingles_of(pa.array([" ".join(words) for words in [*texts, *near]])))
    pairs = candidate_pairs(sketches)
    found = {tuple(pair) for pair in pairs.tolist()}
    expected = {(index, index + 500) for index in range(500)}
    assert len(expected & found) >= 498, "similarity is 0.83, found with probability 0.9998"
    assert len(found - expected) < 5
    assert (pairs[:, 0] < pairs[:, 1]).all()


def test_a_thousand_equal_openings_are_paired_in_few_pairs() -> None:
    sketches = sketch(shingles_of(pa.array(["one two three four"] * 1000)))
    pairs = candidate_pairs(sketches)
    assert len(pairs) < 2000
    assert set(pairs.ravel().tolist()) == set(range(1000))


def test_pairs_across_two_sets_are_found() -> None:
    ours = sketch(shingles_of(pa.array(["a b c d", "e f g h", ""])))
    theirs = sketch(shingles_of(pa.array(["", "x y z", "e f g h"])))
    assert cross_pairs(ours, theirs).tolist() == [[1, 2]]


def test_sketches_filled_in_by_parts_are_those_of_the_whole() -> None:
    texts = [" ".join(words_of(np.random.default_rng(n), 20)) for n in range(30)]
    whole = sketch(shingles_of(pa.array(texts)))
    parts = Sketches.room_for(30)
    for part in (slice(0, 7), slice(7, 30)):
        parts.put(part, sketch(shingles_of(pa.array(texts[part]))))
    assert (parts.bands == whole.bands).all()
    assert (parts.digits == whole.digits).all()
