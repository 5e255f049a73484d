"""The speed limit of the machine: the convolutions of the network, timed one by one."""

from __future__ import annotations

from typing import Any

from clusternet.settings import TrainingSettings
from measures.isolation import Figures, repeat


def measure_limit(size: int, precision: str, settings: TrainingSettings, batch: int) -> Figures:
    """Time every convolution of the network by itself, forwards and for both gradients.

    Returns:
        ``gmac``: 10^9 multiply-accumulates of the network a patch, forwards; training needs three
        times as many. ``forward`` and ``train``: GFLOP/s of all these convolutions forwards, and
        forwards with both gradients.
    """
    shapes = convolutions(size, settings)
    import tensorflow as tf

    dtype = tf.bfloat16 if "bfloat16" in precision else tf.float32
    padding = settings.padding.upper()
    macs, forward, backward = 0, 0.0, 0.0
    for pixels, kernel, rows in shapes:
        inputs = tf.cast(tf.random.normal((batch, *pixels)), dtype)
        weights = tf.cast(tf.random.normal(kernel), dtype)
        outputs = tf.cast(tf.random.normal((batch, *rows)), dtype)
        convolve, to_inputs, to_weights = _operations(padding, batch, pixels, kernel)
        forward += _busy(lambda: convolve(inputs, weights))  # noqa: B023  (called at once)
        backward += _busy(lambda: to_weights(inputs, outputs))  # noqa: B023
        backward += _busy(lambda: to_inputs(weights, outputs))  # noqa: B023
        macs += rows[0] * rows[1] * kernel[0] * kernel[1] * kernel[2] * kernel[3]
    flop = 2e-9 * macs * batch
    return {
        "gmac": macs / 1e9,
        "forward": flop / forward,
        "train": 3 * flop / (forward + backward),
    }


def convolutions(size: int, settings: TrainingSettings) -> list[tuple[Any, Any, Any]]:
    """Return (input, kernel, output) shapes of the spatial convolutions, batch left out."""
    from clusternet.network.backend import keras
    from clusternet.network.unet import build_network

    network = build_network(
        3, settings.num_clusters, shape=(size, size), base_filters=settings.base_filters,
        padding=settings.padding,
    )  # fmt: skip
    layers = [layer for layer in network.layers if layer.name not in ("logits",)]
    convolutions = [layer for layer in layers if isinstance(layer, keras.layers.Conv2D)]
    probe = keras.Model(network.input, [(layer.input, layer.output) for layer in convolutions])
    shapes = keras.tree.map_structure(
        lambda spec: tuple(spec.shape[1:]), probe.compute_output_spec(_spec(keras, size))
    )
    kernels = [tuple(layer.kernel.shape) for layer in convolutions]
    return [
        (pixels, kernel, rows)
        for (pixels, rows), kernel in zip(_pairs(shapes), kernels, strict=True)
    ]


def _spec(keras: Any, size: int) -> Any:
    return keras.KerasTensor((1, size, size, 3))


def _pairs(shapes: Any) -> list[tuple[Any, Any]]:
    return [(pair[0], pair[1]) for pair in shapes]


def _operations(padding: str, batch: int, pixels: Any, kernel: Any) -> tuple[Any, Any, Any]:
    import tensorflow as tf

    @tf.function
    def convolve(inputs: Any, weights: Any) -> Any:
        return tf.nn.conv2d(inputs, weights, 1, padding)

    @tf.function
    def to_inputs(weights: Any, gradient: Any) -> Any:
        return tf.raw_ops.Conv2DBackpropInput(
            input_sizes=(batch, *pixels), filter=weights, out_backprop=gradient,
            strides=[1] * 4, padding=padding,
        )  # fmt: skip

    @tf.function
    def to_weights(inputs: Any, gradient: Any) -> Any:
        return tf.raw_ops.Conv2DBackpropFilter(
            input=inputs, filter_sizes=kernel, out_backprop=gradient,
            strides=[1] * 4, padding=padding,
        )  # fmt: skip

    return convolve, to_inputs, to_weights


def _busy(call: Any) -> float:
    return repeat(lambda: call()[0, 0, 0, 0].numpy(), 2).best()[1]
