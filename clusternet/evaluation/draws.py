"""Score cluster maps at a labelled fraction: a share of the labels names the clusters.

What is labelled is chosen in blocks, not in single pixels: neighbours look alike, so pixels beside
labelled ones would make the score too good.
"""

from __future__ import annotations

import logging

import numpy as np

from clusternet.errors import SettingsError
from clusternet.evaluation.results import DrawScores
from clusternet.evaluation.tally import added
from clusternet.metrics import Counts, Scores, majority_mapping, mapped_confusion
from clusternet.types import BoolArray

logger = logging.getLogger(__name__)


def check_draw_settings(labelled_fraction: float, draws: int, seed: int) -> None:
    """Raise SettingsError if no draw can be made."""
    if not 0 < labelled_fraction < 1:
        raise SettingsError(
            f"Setting labelled_fraction: expected a number above 0 and below 1, "
            f"received {labelled_fraction}."
        )
    if draws < 1:
        raise SettingsError(f"Setting draws: expected 1 or more, received {draws}.")
    if seed < 0:
        raise SettingsError(f"Setting seed: expected 0 or more, received {seed}.")


def draw_blocks(num_blocks: int, fraction: float, draws: int, seed: int) -> BoolArray:
    """Choose the blocks that are taken as labelled in each draw.

    At least one block is chosen and, where there are two, at least one is left.

    Returns:
        (draws, num_blocks) True for labelled blocks.
    """
    count = min(max(round(fraction * num_blocks), 1), max(num_blocks - 1, 1))
    chosen = np.zeros((draws, num_blocks), bool)
    for draw in range(draws):
        rng = np.random.default_rng([seed, draw])  # so that more draws keep the first ones
        chosen[draw, rng.choice(num_blocks, count, replace=False)] = True
    return chosen


def score_draws(
    labelled: Counts, table: Counts, labelled_fraction: float, seed: int
) -> DrawScores | None:
    """Name clusters by the labelled part of each draw, and score the rest.

    Args:
        labelled: (draws, clusters, classes) counts of the labelled blocks; it may be smaller
            than the table.
        table: (clusters, classes) counts of all blocks.
        labelled_fraction: what the draws were made with, for the report.
        seed: what the draws were made with, for the report.

    Returns:
        the scores, or None if no draw has pixels both to name clusters and to score.
    """
    labelled = added(labelled, np.zeros((1, *table.shape), np.int64))
    scores = [
        Scores.from_confusion(mapped_confusion(table - part, majority_mapping(part)))
        for part in labelled
        if part.any() and (table - part).any()
    ]
    if len(scores) < len(labelled):
        logger.warning(
            "%d of %d draws have no labelled pixel, or leave none to score: they are left out; "
            "change --labelled_fraction or --seed", len(labelled) - len(scores), len(labelled),
        )  # fmt: skip
    if not scores:
        return None
    columns = np.array([[s.accuracy, s.mean_iou, s.mean_dice, s.kappa] for s in scores]).T
    return DrawScores(labelled_fraction, seed, *columns)
