"""The U-Net of the paper (figure 1), and the 1x1 convolution that finds nearest centroids.

Read top to bottom in the order of the tensors. Every layer has a name, so that features can be
fetched from a saved model: ``features`` (64 a pixel, float32) and ``logits`` (one a cluster).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

from clusternet.clustering.kmeans import Codebook
from clusternet.network.backend import channels_last, keras
from clusternet.network.filter_bank import CropAndConcatenate, FilterBank
from clusternet.network.filter_sizes import BORDER
from clusternet.network.sizes import LEVELS, Cut, Sides, centre_cuts, skip_cuts
from clusternet.types import AnyArray
from clusternet.windows import Shape

layers = keras.layers


@channels_last()
def build_network(
    num_bands: int,
    num_clusters: int,
    *,
    shape: Shape,
    base_filters: int = 64,
    num_features: int = 64,
    padding: str = "same",
    dtype: str = "float32",
    seed: int | None = 1,
    centre_only: bool = False,
) -> Any:
    """Build the U-Net with its features and its clustering head.

    Five levels of two 3x3 convolutions with ``base_filters`` times 1, 2, 4, 8, 16 filters, 2x2
    max-pooling down, 2x2 upsampling and a 2x2 convolution up, skip connections by concatenation,
    ReLU, He-normal weights (Girard et al. 2019, section 3.1).

    Args:
        num_bands: bands of a patch.
        num_clusters: outputs of the head.
        shape: (rows, cols) of a training patch; with valid padding it fixes how much the skip
            connections are cut. Other patches may differ from it by multiples of 16.
        base_filters: filters of the first level.
        num_features: features a pixel.
        padding: ``same``, or ``valid`` as published.
        dtype: Keras dtype policy of the inner layers; features and logits are float32.
        seed: fixes the first weights. None makes them zero, where those of a file take their place.
        centre_only: with same padding, leave out on the way up what only the outer
            ``margin("same")`` pixels of the output need. For prediction, where they are cut off.

    Input shape:
        (patches, rows, cols, bands), standardised.

    Output shape:
        logits (patches, rows', cols', clusters) float32; rows' = rows with same padding; with
        ``centre_only`` the centre and a few pixels on each side of it.
    """
    blocks = _Blocks(base_filters, padding, dtype, None if seed is None else count(seed * 1000))
    cuts = centre_cuts() if centre_only and padding == "same" else skip_cuts(shape, padding)
    inputs = keras.Input((None, None, num_bands), name="bands")
    tensor, skips = inputs, []
    for level in range(LEVELS - 1):
        skips.append(blocks.down(tensor, level))
        tensor = layers.MaxPooling2D(name=f"down{level}_pool", dtype=dtype)(skips[level])
    tensor = blocks.down(tensor, LEVELS - 1)
    for level in reversed(range(LEVELS - 1)):
        tensor = blocks.up(tensor, skips[level], level, cuts[level])
    tensor = blocks.conv(tensor, num_features, 3, "up0_conv2", activation="linear")
    features = layers.Activation("relu", name="features", dtype="float32")(tensor)
    logits = layers.Conv2D(
        num_clusters, 1, name="logits", dtype="float32",
        kernel_initializer=blocks.first_weights(keras.initializers.GlorotUniform),
    )(features)  # fmt: skip
    return keras.Model(inputs, logits, name="clusternet")


@dataclass(frozen=True)
class _Blocks:
    """Builds the layers of a level; each convolution draws its first weights with the next seed."""

    base_filters: int
    padding: str
    dtype: str
    seeds: Iterator[int] | None

    def first_weights(self, kind: Callable[..., Any]) -> Any:
        return "zeros" if self.seeds is None else kind(seed=next(self.seeds))

    def conv(
        self, tensor: Any, filters: int, size: int, name: str, activation: str = "relu"
    ) -> Any:
        return layers.Conv2D(
            filters, size, padding=self.padding, activation=activation, dtype=self.dtype, name=name,
            kernel_initializer=self.first_weights(keras.initializers.HeNormal),
        )(tensor)  # fmt: skip

    def down(self, tensor: Any, level: int) -> Any:
        filters = self.base_filters * 2**level
        tensor = self.conv(tensor, filters, 3, f"down{level}_conv1")
        return self.conv(tensor, filters, 3, f"down{level}_conv2")

    def up(self, tensor: Any, skip: Any, level: int, cut: Cut) -> Any:
        """Upsample the level below, concatenate the skip connection, and convolve both.

        The last convolution of the top level is not built here: it gives the features.
        """
        filters = self.base_filters * 2**level
        tensor = self._cropped(tensor, cut.below, f"up{level}_centre")
        skip = self._cropped(skip, cut.skip, f"up{level}_crop")
        tensor = layers.UpSampling2D(name=f"up{level}_upsample", dtype=self.dtype)(tensor)
        tensor = self.conv(tensor, filters, 2, f"up{level}_upconv")
        tensor = layers.Concatenate(name=f"up{level}_concat", dtype=self.dtype)([skip, tensor])
        tensor = self.conv(tensor, filters, 3, f"up{level}_conv1")
        return self.conv(tensor, filters, 3, f"up{level}_conv2") if level > 0 else tensor

    def _cropped(self, tensor: Any, sides: Sides | None, name: str) -> Any:
        if sides is None:
            return tensor
        return layers.Cropping2D(sides, name=name, dtype=self.dtype)(tensor)


@channels_last()
def features_tensor(network: Any, filters_from: Shape | None = None, uncovered: int = 0) -> Any:
    """Return what clusters are made of: the symbolic features of a network.

    Args:
        network: see `build_network`.
        filters_from: append the fixed filters to the learned features; (rows, cols) of the
            smallest patch that will come. None leaves them out.
        uncovered: pixels on each side of a patch that the learned features leave out at least;
            the filters then leave out what only those need.

    Output shape:
        (patches, rows, cols, features) float32.
    """
    features = network.get_layer("features").output
    if filters_from is None:
        return features
    outside = max(0, uncovered - BORDER)
    bands = layers.Cropping2D(outside, name="within_reach", dtype="float32")(network.input)
    smallest = filters_from[0] - 2 * outside, filters_from[1] - 2 * outside
    filters = FilterBank(smallest, mirror=uncovered < BORDER, name="filters")(bands)
    return CropAndConcatenate(name="description", dtype="float32")([features, filters])


def described(
    network: Any, filters_from: Shape | None = None, uncovered: int = 0, num_beside: int = 0
) -> tuple[list[Any], Any]:
    """Return the inputs that the description of pixels needs, and the description.

    Args:
        network: see `features_tensor`.
        filters_from: see `features_tensor`.
        uncovered: see `features_tensor`.
        num_beside: features that come from outside, as those of a backbone, and are appended: the
            second input, (patches, rows', cols', num_beside) of as many pixels as have learned
            features, or more on each side.

    Output shape:
        (patches, rows, cols, features) float32.
    """
    features = features_tensor(network, filters_from, uncovered)
    if not num_beside:
        return [network.input], features
    beside = keras.Input((None, None, num_beside), name="beside")
    joined = CropAndConcatenate(name="description_with_backbone", dtype="float32")
    return [network.input, beside], joined([features, beside])


@channels_last()
def build_labeller(
    network: Any, num_clusters: int, filters_from: Shape | None = None, num_beside: int = 0
) -> Any:
    """Add the search for the nearest centroid to the features of ``network``.

    The nearest centroid maximises f . c - |c|^2 / 2, since |f - c|^2 = |f|^2 - 2 f . c + |c|^2
    and |f|^2 is the same for all: a 1x1 convolution, named ``codebook``, and an argmax. Features
    are centred before.

    Input shape:
        see `described`.

    Output shape:
        (patches, rows, cols) int32.
    """
    inputs, features = described(network, filters_from, num_beside=num_beside)
    centred = Centring(name="offset")(features)
    scores = layers.Conv2D(num_clusters, 1, name="codebook", dtype="float32", trainable=False)
    return keras.Model(inputs, argmax(scores(centred)), name="labeller")


class Centring(keras.layers.Layer):  # type: ignore[misc]
    """Subtracts an offset of each feature, its only weight.

    Input and output shape:
        (..., features) float32.
    """

    def __init__(self, **options: Any) -> None:
        """Start with an offset of zero."""
        super().__init__(dtype="float32", trainable=False, **options)

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Create the weight."""
        self.offset = self.add_weight(
            shape=(shape[-1],), initializer="zeros", trainable=False, name="offset"
        )

    def call(self, features: Any) -> Any:
        """Return centred features."""
        return features - self.offset


def argmax(scores: Any) -> Any:
    """Return the index of the largest score as int32; (..., clusters) -> (...)."""
    if keras.backend.backend() == "tensorflow":  # twice as fast there on a CPU
        return keras.ops.top_k(scores, 1)[1][..., 0]
    return keras.ops.cast(keras.ops.argmax(scores, axis=-1), "int32")


def set_codebook(labeller: Any, offset: AnyArray, kernel: AnyArray, bias: AnyArray) -> None:
    """Put a codebook into a labeller.

    Args:
        labeller: see `build_labeller`.
        offset: (features,)
        kernel: (features, clusters)
        bias: (clusters,)
    """
    labeller.get_layer("offset").set_weights([offset])
    labeller.get_layer("codebook").set_weights([kernel[None, None], bias])


@channels_last()
def build_predictor(
    network: Any,
    codebook: Codebook | None,
    *,
    confidence: bool = False,
    features: bool = False,
    filters_from: Shape | None = None,
    uncovered: int = 0,
    num_beside: int = 0,
) -> Any:
    """Give a network the outputs that maps are made of, and no others.

    Args:
        network: see `build_network`.
        codebook: clusters are its nearest centroids; None takes the softmax head.
        confidence: also give how clear the choice is: one minus the ratio of the distances to
            the nearest and the second nearest centroid, or with the head the difference of the
            two largest probabilities.
        features: also give the features.
        filters_from: see `features_tensor`; None if the codebook is one of learned features.
        uncovered: see `features_tensor`.
        num_beside: see `described`.

    Input shape:
        see `described`.

    Output shape:
        dict of ``labels`` (patches, rows, cols) int32, and as asked for ``confidence``
        (patches, rows, cols) from 0 to 1, ``features`` (patches, rows, cols, features).
    """
    ops = keras.ops
    inputs, vectors = described(network, filters_from, uncovered, num_beside)
    outputs = {"features": vectors} if features else {}
    if codebook is None:
        scores = network.get_layer("logits").output
    else:
        offset, kernel, bias = codebook.convolution()
        centring = Centring(name="offset")
        centred = centring(vectors)
        centring.set_weights([offset])
        codes = layers.Conv2D(codebook.num_clusters, 1, name="codebook", dtype="float32")
        scores = codes(centred)
        codes.set_weights([kernel[None, None], bias])
    outputs["labels"] = argmax(scores)
    if confidence and codebook is None:
        best = ops.top_k(ops.softmax(scores), 2)[0]
        outputs["confidence"] = best[..., 0] - best[..., 1]
    elif confidence and codebook is not None:
        transform = layers.Conv2D(
            len(codebook.offset), 1, name="transform", dtype="float32", use_bias=False
        )
        squares = ops.sum(ops.square(transform(centred)), axis=-1, keepdims=True)
        transform.set_weights([codebook.projection[None, None]])
        # |t - c|^2 = |t|^2 - 2 (t . c - |c|^2 / 2), below 0 by rounding where t is c
        distances = ops.sqrt(ops.maximum(squares - 2 * ops.top_k(scores, 2)[0], 0.0))
        outputs["confidence"] = 1 - distances[..., 0] / ops.maximum(distances[..., 1], 1e-12)
    return keras.Model(inputs, outputs, name="predictor")


@channels_last()
def build_sampler(network: Any, filters_from: Shape | None = None, num_beside: int = 0) -> Any:
    """Fetch the features of chosen pixels only, so that few numbers leave the graph.

    Input shape:
        those of `described`, and (patches, samples) int32 positions row * cols' + col.

    Output shape:
        (patches, samples, features) float32.
    """
    inputs, features = described(network, filters_from, num_beside=num_beside)
    positions = keras.Input((None,), dtype="int32", name="positions")
    depth = features.shape[-1]
    flat = layers.Reshape((-1, depth), dtype="float32", name="pixels")(features)
    chosen = keras.ops.take_along_axis(flat, keras.ops.expand_dims(positions, -1), axis=1)
    return keras.Model([*inputs, positions], chosen, name="sampler")


def masked_cross_entropy(labels: Any, logits: Any) -> Any:
    """Return the mean cross-entropy over pixels with a label; a negative label means none.

    Args:
        labels: (patches, rows, cols) integers.
        logits: (patches, rows, cols, clusters).
    """
    ops = keras.ops
    labels = ops.cast(labels, "int32")
    valid = ops.cast(labels >= 0, logits.dtype)
    # Written out it takes a fifth of the time of sparse_categorical_crossentropy on a CPU: the
    # comparison is fused with the sum, where that gathers. A negative label equals no cluster.
    clusters = ops.arange(logits.shape[-1], dtype="int32")
    chosen = ops.sum(ops.cast(labels[..., None] == clusters, logits.dtype) * logits, axis=-1)
    total = ops.sum(ops.logsumexp(logits, axis=-1) * valid - chosen)
    return total / ops.maximum(ops.sum(valid), 1.0)


def reset_optimizer(optimizer: Any) -> None:
    """Forget the moments and the step count, as a fresh optimizer would, without compiling."""
    for variable in optimizer.variables:
        if variable is not optimizer.learning_rate:
            variable.assign(keras.ops.zeros(variable.shape, variable.dtype))
