"""Scores of generated texts, one per row, from the libraries that define them.

Every function takes answers and references, (rows,) each, and returns (rows,).
"""

import re
import string
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Texts = Sequence[str]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def exact_match(answers: Texts, references: Texts) -> Values:
    """1 where the words are the same, white space aside."""
    return _each(answer.split() == reference.split() for answer, reference in _pairs(answers, references))


def normalized_exact_match(answers: Texts, references: Texts) -> Values:
    """1 where the texts are the same in SQuAD's normal form."""
    pairs = _pairs(answers, references)
    return _each(normal_words(answer) == normal_words(reference) for answer, reference in pairs)


def token_f1(answers: Texts, references: Texts) -> Values:
    """F1 of the words in common, each as often as it stands in both (SQuAD, 2016).

    Where one of the two has no words, 1 if the other has none either, else 0 (SQuAD 2.0, 2018).
    """
    pairs = _pairs(answers, references)
    return _each(_f1(normal_words(answer), normal_words(reference)) for answer, reference in pairs)


def word_error_rate(answers: Texts, references: Texts) -> Values:
    """Edit distance in words over the words of the reference, at least one."""
    from rapidfuzz.distance import Levenshtein

    return _each(
        Levenshtein.distance(answer, reference) / max(1, len(reference))
        for answer, reference in _words(answers, references)
    )


def character_error_rate(answers: Texts, references: Texts) -> Values:
    """Edit distance in characters over the characters of the reference, at least one."""
    from rapidfuzz.distance import Levenshtein

    return _each(
        Levenshtein.distance(answer, reference) / max(1, len(reference))
        for answer, reference in _stripped(answers, references)
    )


def rouge_1(answers: Texts, references: Texts) -> Values:
    return _rouge("rouge1", answers, references)


def rouge_2(answers: Texts, references: Texts) -> Values:
    return _rouge("rouge2", answers, references)


def rouge_l(answers: Texts, references: Texts) -> Values:
    return _rouge("rougeL", answers, references)


def chrf(answers: Texts, references: Texts) -> Values:
    """sacrebleu's sentence chrF2, 0 to 100."""
    from sacrebleu.metrics.chrf import CHRF

    scorer = CHRF()
    return _each(
        scorer.sentence_score(answer, [reference]).score for answer, reference in _pairs(answers, references)
    )


def bleu(answers: Texts, references: Texts) -> float:
    """sacrebleu's BLEU of all answers as one corpus, 0 to 100."""
    from sacrebleu.metrics.bleu import BLEU

    return float(BLEU().corpus_score(list(answers), [list(references)]).score)


def corpus_chrf(answers: Texts, references: Texts) -> float:
    """sacrebleu's chrF2 of all answers as one corpus, 0 to 100."""
    from sacrebleu.metrics.chrf import CHRF

    return float(CHRF().corpus_score(list(answers), [list(references)]).score)


def corpus_word_error_rate(answers: Texts, references: Texts) -> float:
    """Word edits in all rows over the words of all references, at least one."""
    return _pooled(_words(answers, references))


def corpus_character_error_rate(answers: Texts, references: Texts) -> float:
    """Character edits in all rows over the characters of all references, at least one."""
    return _pooled(_stripped(answers, references))


def normal_words(text: str) -> list[str]:
    """Words in lower case, without ASCII punctuation and the English articles (SQuAD, 2016)."""
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def _f1(answer: list[str], reference: list[str]) -> float:
    if not answer or not reference:
        return float(answer == reference)
    shared = sum((Counter(answer) & Counter(reference)).values())
    return 2.0 * shared / (len(answer) + len(reference))


def _rouge(kind: str, answers: Texts, references: Texts) -> Values:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer([kind])
    return _each(
        scorer.score(reference, answer)[kind].fmeasure for answer, reference in _pairs(answers, references)
    )


def _pooled(pairs: Iterable[tuple[Sequence[str], Sequence[str]]]) -> float:
    from rapidfuzz.distance import Levenshtein

    edits, length = 0, 0
    for answer, reference in pairs:
        edits += Levenshtein.distance(answer, reference)
        length += len(reference)
    return edits / max(1, length)


def _pairs(answers: Texts, references: Texts) -> Iterable[tuple[str, str]]:
    return zip(answers, references, strict=True)


def _words(answers: Texts, references: Texts) -> Iterable[tuple[list[str], list[str]]]:
    return ((answer.split(), reference.split()) for answer, reference in _pairs(answers, references))


def _stripped(answers: Texts, references: Texts) -> Iterable[tuple[str, str]]:
    return ((answer.strip(), reference.strip()) for answer, reference in _pairs(answers, references))


def _each(values: Iterable[float]) -> Values:
    return np.fromiter(values, dtype=np.float64)
