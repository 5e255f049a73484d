"""The network of a run, loaded and put together for prediction. This module loads Keras."""

from __future__ import annotations

from typing import Any

from clusternet.network.backend import resolve_precision
from clusternet.network.class_head import build_class_predictor
from clusternet.network.pieces import in_pieces
from clusternet.network.sizes import uncovered
from clusternet.network.unet import build_network, build_predictor
from clusternet.network.weight_files import load_weights
from clusternet.prediction.assigning import Assign
from clusternet.processes.phases import phases
from clusternet.training.run import Run


@phases.during("start")
def load_network(run: Run, precision: str) -> Any:
    """Build the network of a run and load its weights.

    Raises:
        RunError: if the weights cannot be read or do not fit the settings.
    """
    settings, bands = run.settings, run.bands
    network = build_network(
        bands.num_bands,
        settings.num_clusters,
        shape=bands.patch_shape,
        base_filters=settings.base_filters,
        num_features=settings.num_features,
        padding=settings.padding,
        dtype=resolve_precision(precision),
        seed=None,
        centre_only=True,
    )
    load_weights(network, run.model_path)
    return network


def make_model(
    network: Any,
    run: Run,
    assign: Assign,
    *,
    confidence: bool,
    features: bool,
    num_beside: int = 0,
) -> Any:
    """Return the model that gives labels, and confidence and features if wanted, of a window.

    Args:
        network: as of `load_network`.
        run: that it belongs to.
        assign: what gives the labels.
        confidence: of each pixel's label.
        features: of each pixel.
        num_beside: features that come from outside, see `clusternet.network.unet.build_predictor`.
    """
    without = uncovered(run.settings.padding)
    smallest = 2 * without + 1  # the smallest possible window
    wanted: dict[str, Any] = dict(
        confidence=confidence,
        features=features,
        filters_from=(smallest, smallest) if run.settings.fixed_filters else None,
        uncovered=without,
        num_beside=num_beside,
    )
    if assign == "classes" and run.class_head is not None:
        model = build_class_predictor(network, run.class_head.arrays, **wanted)
    else:
        codebook = run.stored.codebook if assign == "codebook" else None
        model = build_predictor(network, codebook, **wanted)
    if features:  # all of them are wanted at once
        return model
    beside = [layer.output for layer in model.layers if layer.name in ("filters", "beside")]
    return in_pieces(model, [network.get_layer("features").input, *beside])
