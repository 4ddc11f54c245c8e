"""Each score of a text is what its library says, and lies where its range says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.records.metrics import METRICS, REPORTED, Task
from tasks.training.metrics import texts
from tasks.training.metrics.catalogue import OF_CORPUS, PER_EXAMPLE, Inputs, figures_of, scores_of

ANSWERS = ["the cat sat on a mat", "Paris, France", "no", "", "to be or not to be"]
REFERENCES = ["a cat sat on the mat", "paris", "yes", "something", "to be or not to be"]

TEXT = st.lists(st.sampled_from(["a", "cat", "Cat.", "the", "mat", "Ünïcode", "x-y", ","]), max_size=6).map(
    " ".join
)
SPOKEN = TEXT.filter(lambda text: any(char.isalpha() for char in text))
PAIRS = st.lists(st.tuples(TEXT, SPOKEN), min_size=1, max_size=5)
NAMES = sorted(name for name, metric in PER_EXAMPLE.items() if metric.inputs is Inputs.TEXTS)


def test_every_metric_has_its_function_and_the_other_way_round() -> None:
    assert set(PER_EXAMPLE) == set(METRICS) and set(OF_CORPUS) == set(REPORTED)
    assert not set(METRICS) & set(REPORTED)


@settings(deadline=None, max_examples=40)
@given(PAIRS)
def test_scores_lie_in_their_range_and_binary_ones_are_0_or_1(pairs: list[tuple[str, str]]) -> None:
    found = scores_of(Inputs.TEXTS, *zip(*pairs, strict=True))
    assert sorted(found) == NAMES
    for name, values in found.items():
        assert values.shape == (len(pairs),)
        assert all(METRICS[name].within_range(value) for value in values.round(9)), name
        if METRICS[name].binary:
            assert set(values) <= {0.0, 1.0}


@settings(deadline=None, max_examples=40)
@given(st.lists(SPOKEN, min_size=1, max_size=5))
def test_the_reference_itself_scores_best(references: list[str]) -> None:
    found = scores_of(Inputs.TEXTS, references, references)
    wrong = scores_of(Inputs.TEXTS, ["qq"] * len(references), references)
    for name, values in found.items():
        metric = METRICS[name]
        # Two words are needed for a pair of them, and the articles alone are nothing to SQuAD.
        if name == "rouge_2":
            continue
        best = metric.maximum if metric.higher_is_better else metric.minimum
        assert values == pytest.approx(best), name
        assert all(
            metric.gain(right) >= metric.gain(other) for right, other in zip(values, wrong[name], strict=True)
        )


@settings(deadline=None, max_examples=25)
@given(PAIRS)
def test_a_row_scores_the_same_whatever_stands_beside_it(pairs: list[tuple[str, str]]) -> None:
    together = scores_of(Inputs.TEXTS, *zip(*pairs, strict=True))
    for index, (answer, reference) in enumerate(pairs):
        alone = scores_of(Inputs.TEXTS, [answer], [reference])
        assert all(alone[name][0] == together[name][index] for name in NAMES)


def test_rouge_is_rouge_scores() -> None:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"])
    for ours, theirs in (("rouge_1", "rouge1"), ("rouge_2", "rouge2"), ("rouge_l", "rougeL")):
        expected = [
            scorer.score(reference, answer)[theirs].fmeasure
            for answer, reference in zip(ANSWERS, REFERENCES, strict=True)
        ]
        assert PER_EXAMPLE[ours].scores(ANSWERS, REFERENCES).tolist() == expected
    # By hand: five of six words in common; four of the five words stand in the order of both, and "on".
    assert texts.rouge_1(ANSWERS, REFERENCES)[0] == pytest.approx(1.0)
    assert texts.rouge_2(ANSWERS, REFERENCES)[0] == pytest.approx(2 * 2 / 10)


def test_chrf_and_bleu_are_sacrebleus() -> None:
    import sacrebleu

    each = [
        sacrebleu.sentence_chrf(answer, [reference]).score
        for answer, reference in zip(ANSWERS, REFERENCES, strict=True)
    ]
    assert texts.chrf(ANSWERS, REFERENCES).tolist() == pytest.approx(each)
    assert texts.corpus_chrf(ANSWERS, REFERENCES) == sacrebleu.corpus_chrf(ANSWERS, [REFERENCES]).score
    assert texts.bleu(ANSWERS, REFERENCES) == sacrebleu.corpus_bleu(ANSWERS, [REFERENCES]).score
    assert 0.0 < texts.bleu(ANSWERS, REFERENCES) < 100.0


@settings(deadline=None, max_examples=40)
@given(PAIRS)
def test_error_rates_are_jiwers(pairs: list[tuple[str, str]]) -> None:
    jiwer = pytest.importorskip("jiwer", reason="jiwer comes with the extra dev")
    answers, references = (list(each) for each in zip(*pairs, strict=True))
    assert texts.word_error_rate(answers, references).tolist() == pytest.approx(
        [jiwer.wer(reference, answer) for answer, reference in pairs]
    )
    assert texts.character_error_rate(answers, references).tolist() == pytest.approx(
        [jiwer.cer(reference, answer) for answer, reference in pairs]
    )
    assert texts.corpus_word_error_rate(answers, references) == pytest.approx(jiwer.wer(references, answers))
    assert texts.corpus_character_error_rate(answers, references) == pytest.approx(
        jiwer.cer(references, answers)
    )


def test_squads_normal_form_and_f1() -> None:
    assert texts.normal_words("The  Cat, an IDEA-a!") == ["cat", "ideaa"]
    found = texts.token_f1(
        ["Paris, France", "the Paris", "a a b", "the", "the"], ["paris", "PARIS.", "b b a", "x", "a"]
    )
    # Shared 1 of 2 and 1; the same; shared a and b of 2 and 3 words; nothing said; both nothing but articles.
    assert found.tolist() == pytest.approx([2 / 3, 1.0, 2 * 1 / 3, 0.0, 1.0])
    matched = texts.normalized_exact_match(["The Paris!", "Paris France"], ["paris", "paris"])
    assert matched.tolist() == [1.0, 0.0]


def test_known_values() -> None:
    answers, references = ["K AE T", "K AE", "", "D AO G Z"], ["K AE T", "K AE T", "K AE T", "D AO G"]
    assert texts.exact_match([" K  AE T", *answers[1:]], references).tolist() == [1.0, 0.0, 0.0, 0.0]
    assert texts.word_error_rate(answers, references).tolist() == pytest.approx([0.0, 1 / 3, 1.0, 1 / 3])
    assert texts.character_error_rate(["abd", " ab "], ["abc", "ab"]).tolist() == pytest.approx([1 / 3, 0.0])
    # Two edits and one more of thirteen words; not the mean of the rows' rates.
    assert texts.corpus_word_error_rate(answers, references) == pytest.approx(5 / 12)


def test_figures_of_texts_are_finite_even_for_empty_answers() -> None:
    figures = figures_of(Inputs.TEXTS, ["", ""], ["", "x"])
    assert figures and all(np.isfinite(value) for value in figures.values())


def test_completion_loss_counts_rows_and_perplexity_tokens() -> None:
    losses, tokens = np.array([1.0, 3.0]), np.array([3, 1])
    assert scores_of(Inputs.LOSSES, losses, tokens)["completion_loss"].tolist() == [1.0, 3.0]
    assert figures_of(Inputs.LOSSES, losses, tokens)["perplexity"] == pytest.approx(np.exp(1.5))
    assert figures_of(Inputs.LOSSES, np.array([1e6]), np.array([1]))["perplexity"] > 1e300


def test_no_metric_serves_a_task_in_name_only() -> None:
    assert all(metric.tasks for metric in METRICS.values())
    assert all("loss" in name or METRICS[name].tasks == (Task.INSTRUCTION,) for name in NAMES)
