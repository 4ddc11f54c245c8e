"""Comparing two sets of rows: labels, lengths, words, and whether a classifier can tell them apart."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from data_contracts.records.drift import DriftAspect, DriftFigure, DriftReport

Counts = np.ndarray[Any, np.dtype[Any]]

_BUCKETS = 2**16
_PERMUTATIONS = 199
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
    """How often a classifier that learned on half of the rows tells where a row of the other half is from.

    The classifier two-sample test (Lopez-Paz and Oquab, 2017) with logistic regression on hashed words and
    pairs of words; both sides are cut to the shorter. By chance the accuracy is 1/2, binomially distributed.
    """
    from scipy.stats import binomtest
    from sklearn.linear_model import LogisticRegression

    size = min(len(before), len(now))
    generator = np.random.default_rng(_SEED)
    texts = [
        *(before[index] for index in generator.permutation(len(before))[:size]),
        *(now[index] for index in generator.permutation(len(now))[:size]),
    ]
    side = np.repeat([0, 1], size)
    features = text_features(texts)
    learns = np.tile(np.arange(size) % 2 == 0, 2)
    if size < 2:
        accuracy, judged, right = 0.5, 0, 0
    else:
        model = LogisticRegression(solver="liblinear").fit(features[learns], side[learns])
        judged = int((~learns).sum())
        right = int((model.predict(features[~learns]) == side[~learns]).sum())
        accuracy = right / judged
    p_value = float(binomtest(right, judged, 0.5, alternative="greater").pvalue) if judged else 1.0
    return DriftFigure(
        aspect=DriftAspect.ROWS,
        statistic="accuracy of a classifier that tells old from new",
        value=accuracy,
        p_value=p_value,
        rows_before=size,
        rows_now=size,
    )


def word_counts(texts: Sequence[str]) -> Any:
    """Sparse counts of hashed words, a row for each text, a column for each word that is there."""
    from sklearn.feature_extraction.text import HashingVectorizer

    counts = HashingVectorizer(n_features=_BUCKETS, alternate_sign=False, norm=None).transform(texts)
    return counts[:, np.flatnonzero(counts.getnnz(axis=0))]


def text_features(texts: Sequence[str]) -> Any:
    """Sparse weights of the words and pairs of words that stand in two texts at least (term frequency by
    inverse document frequency); what stands in one alone tells nothing about another."""
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    hashing = HashingVectorizer(n_features=2**18, alternate_sign=False, norm=None, ngram_range=(1, 2))
    counts = hashing.transform(texts)
    shared = np.flatnonzero(counts.getnnz(axis=0) >= 2)
    return TfidfTransformer(sublinear_tf=True).fit_transform(counts[:, shared] if len(shared) else counts)


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
