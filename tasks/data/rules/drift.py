"""Comparing two sets of rows: labels, lengths, words, and whether a classifier can tell them apart."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from data_contracts.records.drift import DriftAspect, DriftFigure, DriftReport

Counts = np.ndarray[Any, np.dtype[Any]]

_BUCKETS = 2**16
_PERMUTATIONS = 199
_FOLDS = 5
_PARTINGS_AT_ONCE = 50
_SHARED_BY = 5
_WORD_OR_MARK = r"\w+|[^\w\s]"
_SEED = 20170221


def drift_between(
    before: Sequence[str],
    now: Sequence[str],
    *,
    labels_before: Mapping[str, int] | None = None,
    labels_now: Mapping[str, int] | None = None,
) -> DriftReport:
    """Every comparison of the texts of two sets of rows and, where there are labels, of their counts.

    The texts should be samples of a few thousand rows; the same samples give the same figures. Where ``now``
    holds rows of ``before``, as in data that grow, the figures are smaller than of the new rows alone.
    """
    figures = []
    if labels_before and labels_now:
        figures.append(label_drift(labels_before, labels_now))
    if before and now:
        figures.append(length_drift([len(text) for text in before], [len(text) for text in now]))
        figures.append(vocabulary_drift(before, now))
        figures.append(two_sample_drift(before, now))
    return DriftReport(figures=tuple(figures))


def label_drift(before: Mapping[str, int], now: Mapping[str, int]) -> DriftFigure:
    """The population stability index, sum of (p - q) ln(p / q) over the labels (half a row added to each
    count, so that a new label is no infinity), with Pearson's chi-squared test of homogeneity.

    The index is Jeffreys' divergence (1946); .1 and .25 are the usual borders of small and large.
    """
    from scipy.stats import chi2_contingency

    names = sorted({*before, *now})
    table = np.array([[counts.get(name, 0) for name in names] for counts in (before, now)], dtype=float)
    p, q = (table + 0.5) / (table + 0.5).sum(axis=1, keepdims=True)
    index = float(((p - q) * np.log(p / q)).sum())
    seen = table[:, table.sum(axis=0) > 0]
    p_value = float(chi2_contingency(seen, correction=False).pvalue) if seen.shape[1] > 1 else 1.0
    return DriftFigure(
        aspect=DriftAspect.LABELS,
        statistic="population stability index",
        value=index,
        p_value=p_value,
        rows_before=int(table[0].sum()),
        rows_now=int(table[1].sum()),
    )


def length_drift(before: Sequence[int], now: Sequence[int]) -> DriftFigure:
    """The largest difference of the two distribution functions (Kolmogorov and Smirnov, two samples)."""
    from scipy.stats import ks_2samp

    result = ks_2samp(before, now)
    return DriftFigure(
        aspect=DriftAspect.LENGTHS,
        statistic="Kolmogorov-Smirnov distance",
        value=float(result.statistic),
        p_value=float(result.pvalue),
        rows_before=len(before),
        rows_now=len(now),
    )


def vocabulary_drift(before: Sequence[str], now: Sequence[str]) -> DriftFigure:
    """How much further apart the frequencies of words lie than those of two random parts of all rows would.

    The distance is the square root of the Jensen-Shannon divergence in bits (Endres and Schindelin, 2003),
    from 0 to 1. Two samples of one source lie apart too, the more the fewer rows there are, so the value is
    the distance less its median over 199 random partings of the rows, and the p-value the share of partings
    that lie as far apart (a permutation test; Phipson and Smyth, 2010, for the one added).
    """
    matrix = word_counts([*before, *now])
    mask = np.arange(len(before) + len(now)) < len(before)
    observed = _distance(matrix, mask)
    generator = np.random.default_rng(_SEED)
    chance = np.array([_distance(matrix, generator.permutation(mask)) for _ in range(_PERMUTATIONS)])
    return DriftFigure(
        aspect=DriftAspect.VOCABULARY,
        statistic="Jensen-Shannon distance beyond chance",
        value=max(0.0, observed - float(np.median(chance))),
        p_value=float((1 + (chance >= observed).sum()) / (1 + _PERMUTATIONS)),
        rows_before=len(before),
        rows_now=len(now),
    )


def two_sample_drift(before: Sequence[str], now: Sequence[str]) -> DriftFigure:
    """How surely a classifier that never read a row tells whether it is old or new.

    The classifier two-sample test (Lopez-Paz and Oquab, 2017), by the area under the ROC curve: each fifth
    of the rows is scored by naive Bayes on the words, marks and pairs of these of the other four. Where a
    share e of the new rows comes from elsewhere, no scores give more than (1 + e) / 2, so 0.55 speaks for a
    tenth at least. The p-value is that of a permutation test (Phipson and Smyth, 2010) in which every parting
    of the rows is learned anew, and so needs no assumption about the scores.
    """
    presence = word_pairs([*before, *now])
    side = np.arange(len(before) + len(now)) >= len(before)
    generator = np.random.default_rng(_SEED)
    folds = generator.permutation(len(side)) % _FOLDS
    partings = np.column_stack([side, *(generator.permutation(side) for _ in range(_PERMUTATIONS))])
    # Some partings at a time: the words of all of them together would fill the memory.
    blocks = np.array_split(partings, -(-partings.shape[1] // _PARTINGS_AT_ONCE), axis=1)
    areas = np.concatenate([_held_out_areas(presence, block, folds) for block in blocks])
    return DriftFigure(
        aspect=DriftAspect.ROWS,
        statistic="area under the ROC curve of a classifier that tells old from new",
        value=float(areas[0]),
        p_value=float((1 + (areas[1:] >= areas[0]).sum()) / (1 + _PERMUTATIONS)),
        rows_before=len(before),
        rows_now=len(now),
    )


def word_counts(texts: Sequence[str]) -> Any:
    """Sparse counts of hashed words, a row for each text, a column for each word that is there."""
    from sklearn.feature_extraction.text import HashingVectorizer

    counts = HashingVectorizer(n_features=_BUCKETS, alternate_sign=False, norm=None).transform(texts)
    return counts[:, np.flatnonzero(counts.getnnz(axis=0))]


def word_pairs(texts: Sequence[str]) -> Any:
    """Which hashed words, marks and pairs of neighbours stand in each text: a sparse row for each text, a
    column for each that stands in five of them at least. What stands in two or three marks rows of which one
    is nearly the other, and where these lie on two sides it speaks against what all the others say."""
    from sklearn.feature_extraction.text import HashingVectorizer

    presence = HashingVectorizer(
        n_features=_BUCKETS,
        alternate_sign=False,
        norm=None,
        binary=True,
        ngram_range=(1, 2),
        token_pattern=_WORD_OR_MARK,
    ).transform(texts)
    return presence[:, np.flatnonzero(presence.getnnz(axis=0) >= _SHARED_BY)]


def text_features(texts: Sequence[str]) -> Any:
    """Sparse weights of the words and pairs of words that stand in two texts at least (term frequency by
    inverse document frequency); what stands in one alone tells nothing about another."""
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    hashing = HashingVectorizer(n_features=2**18, alternate_sign=False, norm=None, ngram_range=(1, 2))
    counts = hashing.transform(texts)
    shared = np.flatnonzero(counts.getnnz(axis=0) >= 2)
    return TfidfTransformer(sublinear_tf=True).fit_transform(counts[:, shared] if len(shared) else counts)


def _held_out_areas(presence: Any, partings: Counts, folds: Counts) -> Counts:
    """The mean over the folds of the area under the ROC curve, for each column of ``partings``.

    Multinomial naive Bayes with one added to each count; a row's score is the sum of the log ratios of its
    words. The area is Mann and Whitney's U by the number of pairs; 1/2 in a fold that has one side only.
    """
    from scipy.stats import rankdata

    total = np.zeros(partings.shape[1])
    for fold in range(_FOLDS):
        learns, judged = folds != fold, folds == fold
        new = presence[learns].T @ partings[learns].astype(float)
        old = np.asarray(presence[learns].sum(axis=0)).reshape(-1, 1) - new
        ratios = np.log((new + 1) / (new + 1).sum(axis=0)) - np.log((old + 1) / (old + 1).sum(axis=0))
        truth = partings[judged]
        ranks = rankdata(presence[judged] @ ratios, axis=0)
        news = truth.sum(axis=0)
        pairs = news * (len(truth) - news)
        u = (ranks * truth).sum(axis=0) - news * (news + 1) / 2
        total += np.where(pairs > 0, u / np.maximum(pairs, 1), 0.5)
    return total / _FOLDS


def _distance(matrix: Any, mask: np.ndarray[Any, Any]) -> float:
    total = np.asarray(matrix.sum(axis=0)).ravel()
    left = np.asarray(mask.astype(float) @ matrix).ravel()
    right = total - left
    if not left.sum() or not right.sum():
        return 0.0
    p, q = left / left.sum(), right / right.sum()
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    return float(np.sqrt(max(0.0, divergence)))


def _relative_entropy(p: Counts, q: Counts) -> float:
    seen = p > 0
    return float((p[seen] * np.log2(p[seen] / q[seen])).sum())
