"""Score cluster maps at a labelled fraction: a share of the labels names the clusters.

Labelled and scored pixels are separated in blocks. Neighbouring pixels are alike (spatial
autocorrelation), so scores on single pixels beside labelled ones would be too high.
"""

from __future__ import annotations

import logging

import numpy as np

from clusternet.errors import SettingsError
from clusternet.evaluation.contingency import added
from clusternet.evaluation.results import DrawScores
from clusternet.metrics import Counts, Scores, majority_mapping, mapped_confusion
from clusternet.types import BoolArray

logger = logging.getLogger(__name__)


def check_draw_settings(labelled_fraction: float, draws: int, seed: int) -> None:
    """Raise SettingsError if blocks cannot be drawn with these settings."""
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

    At least one block is chosen. If there are two or more, at least one is left to score.

    Returns:
        (draws, num_blocks) True for labelled blocks.
    """
    count = min(max(round(fraction * num_blocks), 1), max(num_blocks - 1, 1))
    chosen = np.zeros((draws, num_blocks), bool)
    for draw in range(draws):
        # a generator for each draw: 10 draws begin with the same blocks as 5 draws
        rng = np.random.default_rng([seed, draw])
        chosen[draw, rng.choice(num_blocks, count, replace=False)] = True
    return chosen


def score_draws(
    draw_tables: Counts, table: Counts, labelled_fraction: float, seed: int
) -> DrawScores | None:
    """Name clusters by the labelled blocks of each draw, and score the other blocks.

    Args:
        draw_tables: (draws, clusters, classes) counts of the labelled blocks of each draw. They
            may have fewer clusters and classes than the table.
        table: (clusters, classes) counts of all blocks.
        labelled_fraction: with which the blocks were drawn; it goes to the report.
        seed: with which the blocks were drawn; it goes to the report.

    Returns:
        the scores, or None if no draw has pixels both to name clusters and to score.
    """
    draw_tables = added(draw_tables, np.zeros((1, *table.shape), np.int64))
    scores = [
        Scores.from_confusion(mapped_confusion(table - labelled, majority_mapping(labelled)))
        for labelled in draw_tables
        if labelled.any() and (table - labelled).any()
    ]
    if len(scores) < len(draw_tables):
        logger.warning(
            "%d of %d draws have no labelled pixel, or leave none to score: they are left out; "
            "change --labelled_fraction or --seed",
            len(draw_tables) - len(scores), len(draw_tables),
        )  # fmt: skip
    if not scores:
        return None
    columns = np.array([[s.accuracy, s.mean_iou, s.mean_dice, s.kappa] for s in scores]).T
    return DrawScores(labelled_fraction, seed, *columns)
