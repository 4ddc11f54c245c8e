"""Intervals, comparisons and power. Every bound is one-sided, and every interval names its method."""

from tasks.decisions.statistics.intervals import difference_interval, mean_interval
from tasks.decisions.statistics.scores import Scores, SeedScores, pair
from tasks.decisions.statistics.seeds import seeded_difference_interval, seeded_mean_interval

__all__ = [
    "Scores",
    "SeedScores",
    "difference_interval",
    "mean_interval",
    "pair",
    "seeded_difference_interval",
    "seeded_mean_interval",
]
