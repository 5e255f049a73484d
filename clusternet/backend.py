"""Keras, imported once, quietly, with the settings that every use here needs.

Modules that compute import ``keras`` from here; the others never load it.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Hold back what C++ start-up code writes to stderr, which no log level silences."""
    try:
        kept = os.dup(2)
    except OSError:  # no stderr at all, as under some services
        yield
        return
    sys.stderr.flush()
    with Path(os.devnull).open("w") as sink:
        os.dup2(sink.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # errors reach us as exceptions

with _quiet_stderr():
    import keras
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.constant(0)  # start the runtime here, where it is quiet

    # warns of tracing whenever several models are used in one process
    logging.getLogger("tensorflow").setLevel(logging.ERROR)

keras.config.set_image_data_format("channels_last")


def has_fast_bfloat16() -> bool:
    """Tell whether the hardware multiplies bfloat16 faster than float32."""
    if keras.backend.backend() == "tensorflow" and tf.config.list_physical_devices("GPU"):
        return True
    if keras.backend.backend() == "jax":
        import jax  # type: ignore[import-not-found,unused-ignore]

        # XLA on a CPU runs bfloat16 far slower than float32, whatever the processor has.
        return bool(jax.default_backend() != "cpu")
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


__all__ = ["ImageDataGenerator", "has_fast_bfloat16", "keras", "resolve_precision"]
