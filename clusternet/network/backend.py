"""Keras and its backend, imported in one place, with what every use here needs of them.

Modules that compute import ``keras`` from here; the others never load it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import keras

# Keras 3 has no public name for it that works without TensorFlow: it is a part of tf.keras alone.
from keras.src.legacy.preprocessing.image import ImageDataGenerator

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf


def start_runtime() -> None:
    """Make the backend look for its devices now; the messages that it prints then come early."""
    if keras.backend.backend() == "tensorflow":
        tf.constant(0)


def compiled(function: Callable[..., None]) -> Callable[..., None]:
    """Return a function of tensors that changes variables, as one graph where that is faster."""
    if keras.backend.backend() == "tensorflow":
        graph: Callable[..., None] = tf.function(function)
        return graph
    return function


@contextmanager
def channels_last() -> Iterator[None]:
    """Build layers whose bands are the last axis, whatever the user's own Keras is set to."""
    kept = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_last")
    try:
        yield
    finally:
        keras.config.set_image_data_format(kept)


@contextmanager
def once_done(tensors: Sequence[Any]) -> Iterator[None]:
    """Compute what is written inside after ``tensors``, where the backend would choose an order."""
    with ExitStack() as stack:
        if keras.backend.backend() == "tensorflow":
            stack.enter_context(tf.control_dependencies(tensors))
        yield


def has_fast_bfloat16() -> bool:
    """Tell whether the hardware multiplies bfloat16 faster than float32."""
    if keras.backend.backend() == "jax":
        import jax  # type: ignore[import-not-found,unused-ignore]

        # XLA on a CPU runs bfloat16 far slower than float32, whatever the processor has.
        return bool(jax.default_backend() != "cpu")
    if _processor_has_bfloat16():
        return True
    # last, because it loads more of TensorFlow
    return keras.backend.backend() == "tensorflow" and bool(tf.config.list_physical_devices("GPU"))


def _processor_has_bfloat16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags


def resolve_precision(precision: str) -> str:
    """Return the Keras dtype policy for a precision setting; auto asks the hardware."""
    if precision != "auto":
        return precision
    return "mixed_bfloat16" if has_fast_bfloat16() else "float32"


__all__ = [
    "ImageDataGenerator",
    "channels_last",
    "compiled",
    "has_fast_bfloat16",
    "keras",
    "once_done",
    "resolve_precision",
    "start_runtime",
]
