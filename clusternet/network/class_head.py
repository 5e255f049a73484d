"""The class head: a small network from the description of a pixel to the scores of its classes.

Its input is what K-Means compares: learned features, and the fixed filters beside them, in the
space of the clusters that it began with. Names of its layers begin with ``class_``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clusternet.network.backend import channels_last, keras
from clusternet.network.unet import Centring, argmax, described
from clusternet.types import AnyArray, FloatArray
from clusternet.windows import Shape

ARRAYS = ("offset", "projection", "hidden", "hidden_bias", "output", "bias")
"""The weights of a class head by name: (depth,), (depth, depth), (depth, units), (units,),
(units, classes) and (classes,)."""
LAYERS = ("class_offset", "class_space", "class_hidden", "class_scores")


@channels_last()
def class_scores(description: Any, units: int, num_classes: int) -> Any:
    """Add a class head to the description of pixels.

    Args:
        description: symbolic (patches, rows, cols, depth), see `clusternet.network.unet`.
        units: hidden units.
        num_classes: number of classes.

    Output shape:
        (patches, rows, cols, classes) float32, to be compared by softmax.
    """
    conv = keras.layers.Conv2D
    depth = int(description.shape[-1])
    tensor = Centring(name="class_offset")(description)
    # as a layer of its own it keeps the gradients of the hidden units in a well-scaled space
    tensor = conv(depth, 1, use_bias=False, trainable=False, dtype="float32", name="class_space")(
        tensor
    )
    tensor = conv(units, 1, activation="relu", dtype="float32", name="class_hidden")(tensor)
    return conv(num_classes, 1, dtype="float32", name="class_scores")(tensor)


@channels_last()
def build_class_predictor(
    network: Any,
    arrays: Mapping[str, AnyArray],
    *,
    confidence: bool = False,
    features: bool = False,
    filters_from: Shape | None = None,
    uncovered: int = 0,
    num_beside: int = 0,
) -> Any:
    """Give a network the outputs that class maps are made of, and no others.

    Args:
        network: see `clusternet.network.unet.build_network`.
        arrays: of the class head, see `ARRAYS`.
        confidence: also give the difference of the two largest probabilities.
        features: also give the features.
        filters_from: see `clusternet.network.unet.described`.
        uncovered: likewise.
        num_beside: see `clusternet.network.unet.described`.

    Input shape:
        see `clusternet.network.unet.described`.

    Output shape:
        dict of ``labels`` (patches, rows, cols) int32 columns of classes, and as asked for
        ``confidence`` (patches, rows, cols), ``features`` (patches, rows, cols, features).
    """
    ops = keras.ops
    inputs, vectors = described(network, filters_from, uncovered, num_beside)
    outputs = {"features": vectors} if features else {}
    scores = class_scores(vectors, *arrays["output"].shape)
    outputs["labels"] = argmax(scores)
    if confidence:
        best = ops.top_k(ops.softmax(scores), 2)[0]
        outputs["confidence"] = best[..., 0] - best[..., 1]
    model = keras.Model(inputs, outputs, name="class_predictor")
    set_class_head(model, arrays)
    return model


def set_class_head(model: Any, arrays: Mapping[str, AnyArray]) -> None:
    """Put the arrays of a class head, by the names of `ARRAYS`, into a model that has one."""
    model.get_layer("class_offset").set_weights([arrays["offset"]])
    model.get_layer("class_space").set_weights([arrays["projection"][None, None]])
    model.get_layer("class_hidden").set_weights(
        [arrays["hidden"][None, None], arrays["hidden_bias"]]
    )
    model.get_layer("class_scores").set_weights([arrays["output"][None, None], arrays["bias"]])


def get_class_head(model: Any) -> dict[str, FloatArray]:
    """Return what `set_class_head` takes."""
    kernels = [weight for name in LAYERS for weight in model.get_layer(name).get_weights()]
    return {
        name: weight.reshape(weight.shape[-2:]) if weight.ndim > 2 else weight
        for name, weight in zip(ARRAYS, kernels, strict=True)
    }


def balanced_cross_entropy(weights: AnyArray) -> Any:
    """Return a loss: the weighted mean cross-entropy over pixels with a label.

    Args:
        weights: (classes,) weight of a pixel of each class.

    Returns:
        function of labels (patches, rows, cols), negative for none, and scores
        (patches, rows, cols, classes).
    """
    ops = keras.ops
    table = [float(weight) for weight in weights]

    def loss(labels: Any, scores: Any) -> Any:
        labels = ops.cast(labels, "int32")
        columns = ops.arange(len(table), dtype="int32")
        # a negative label equals no column: such a pixel has weight 0
        chosen = ops.cast(labels[..., None] == columns, scores.dtype) * ops.cast(
            table, scores.dtype
        )
        weight = ops.sum(chosen, axis=-1)
        total = ops.sum(weight * ops.logsumexp(scores, axis=-1)) - ops.sum(chosen * scores)
        return total / ops.maximum(ops.sum(weight), 1e-6)

    return loss


class TwoRates(keras.optimizers.Adam):  # type: ignore[misc]
    """Adam with a second learning rate, a share of the first, for some of the weights."""

    def __init__(self, learning_rate: float, slow: list[Any], share: float, **options: Any) -> None:
        """Take the weights that learn more slowly, and the share of the rate that they get."""
        super().__init__(learning_rate, **options)
        self._slow_paths, self._share = {variable.path for variable in slow}, share

    def build(self, variables: list[Any]) -> None:
        """Take note of which of the weights learn slowly."""
        super().build(variables)
        # an index, since in a step TensorFlow hands over its own variables, which have no path
        self._slow = {i for i, one in enumerate(variables) if one.path in self._slow_paths}

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move one weight."""
        share = self._share if self._get_variable_index(variable) in self._slow else 1.0
        super().update_step(gradient, variable, learning_rate * share)
