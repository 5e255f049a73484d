"""Ways to damage a file: its bytes, its numbers, its structure."""

from __future__ import annotations

import pickle
import random
import re
import struct
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np

Damage = Callable[[bytes, random.Random], bytes]

_EXTREMES = (
    "1e999", "-1e999", "-1", "0", "NaN", "Infinity", "-Infinity", ".nan", ".inf", "4.5", "1e-400",
    "99999999999999999999", "9" * 5000, "2024-99-99", "null", "true", "[]", "{}", '"x"', '""',
    "[" * 5000, '{"a":' * 5000, "!!python/object/apply:os.system [true]", "\x00", "\ud800",
    '"' + "x" * 200_000 + '"', "&a [*a, *a]", "0x" + "f" * 50, "-3", "1" + "0" * 400,
)  # fmt: skip
_NUMBER = re.compile(rb"-?\d+(\.\d+)?([eE][-+]?\d+)?")
_WORDS = (b"\xff" * 4, b"\x00" * 8, struct.pack("<d", np.nan), struct.pack("<d", np.inf),
          struct.pack("<f", np.nan), b"\xff\xff\xff\x7f", b"\x7f\xff\xff\xff",
          struct.pack("<q", -1), struct.pack("<I", 2**31), b"\x00\x00")  # fmt: skip


def _span(content: bytes, rng: random.Random, longest: int = 4096) -> tuple[int, int]:
    start = rng.randrange(max(len(content), 1))
    return start, min(len(content), start + rng.randint(1, longest))


def _flip(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _flip_at_the_start(content: bytes, rng: random.Random) -> bytes:
    return _flip(content[:400], rng) + content[400:]


def _truncate(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.choice((0, 1, 16, rng.randrange(len(content) + 1), len(content) - 1))]


def _swap(content: bytes, rng: random.Random) -> bytes:
    one, other = sorted((_span(content, rng), _span(content, rng)))
    if one[1] > other[0]:
        return content[one[1] :] + content[: one[1]]
    return (content[: one[0]] + content[slice(*other)] + content[one[1] : other[0]]
            + content[slice(*one)] + content[other[1] :])  # fmt: skip


def _duplicate(content: bytes, rng: random.Random) -> bytes:
    start, end = _span(content, rng)
    return content[:end] + content[start:end] * rng.choice((1, 1, 20)) + content[end:]


def _zero(content: bytes, rng: random.Random) -> bytes:
    start, end = _span(content, rng)
    return content[:start] + bytes(end - start) + content[end:]


def _remove(content: bytes, rng: random.Random) -> bytes:
    start, end = _span(content, rng, 64)
    return content[:start] + content[end:]


def _extreme_word(content: bytes, rng: random.Random) -> bytes:
    word = rng.choice(_WORDS)
    start = rng.randrange(min(len(content), rng.choice((64, 512, len(content) or 1))) or 1)
    return content[:start] + word + content[start + len(word) :]


BYTES: dict[str, Damage] = {
    "bits flipped": _flip, "bits of the head flipped": _flip_at_the_start, "cut off": _truncate,
    "parts swapped": _swap, "a part twice": _duplicate, "zeroes": _zero, "a part missing": _remove,
    "extreme words": _extreme_word,
}  # fmt: skip


def _extreme_number(content: bytes, rng: random.Random) -> bytes:
    numbers = list(_NUMBER.finditer(content))
    if not numbers:
        return _flip(content, rng)
    found = rng.choice(numbers)
    text = rng.choice(_EXTREMES).encode(errors="surrogatepass")
    return content[: found.start()] + text + content[found.end() :]


def _other_value(content: bytes, rng: random.Random) -> bytes:
    """Replace what follows a colon or a comma."""
    places = [m.end() for m in re.finditer(rb"[:,]\s*", content)]
    if not places:
        return _flip(content, rng)
    start = rng.choice(places)
    end = re.compile(rb"[,\n\]}]|\Z").search(content, start)
    text = rng.choice(_EXTREMES).encode(errors="surrogatepass")
    return content[:start] + text + content[end.start() if end else start :]


def _lines(content: bytes, rng: random.Random) -> bytes:
    lines = content.splitlines(keepends=True) or [b""]
    place = rng.randrange(len(lines))
    act = rng.choice(("drop", "twice", "move"))
    line = lines.pop(place)
    if act == "twice":
        lines[place:place] = [line, line]
    elif act == "move":
        lines.insert(rng.randrange(len(lines) + 1), line)
    return b"".join(lines)


TEXT: dict[str, Damage] = {
    "extreme numbers": _extreme_number, "other values": _other_value, "lines moved": _lines,
}  # fmt: skip


class Canary:
    """Touches a file if it is ever unpickled."""

    path = Path("canary")

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        """Say what pickle is to call."""
        return Path.touch, (self.path,)


def canary(path: Path) -> bytes:
    """Return a pickle that touches a file if it is loaded."""
    Canary.path = path
    return pickle.dumps(Canary())


def damage_arrays(content: bytes, rng: random.Random, trap: bytes) -> bytes:
    """Change the shape, type or numbers of one array of an npz file, or pickle it."""
    with np.load(BytesIO(content), allow_pickle=False) as values:
        arrays = dict(values)
    name = rng.choice(sorted(arrays))
    array = arrays[name]
    changed = rng.choice((
        lambda: array[:0] if array.ndim else array[None], lambda: array[None],
        lambda: array.ravel()[:1], lambda: array.astype("U9"),
        lambda: np.zeros(array.shape, complex),
        lambda: _with(array, np.nan), lambda: _with(array, np.inf), lambda: _with(array, -1),
        lambda: _with(array, 0), lambda: _with(array, 1e38), lambda: np.zeros(array.shape, "f2"),
        lambda: np.array("[" * 3000), lambda: np.array(-3), lambda: array.T, lambda: None,
    ))  # fmt: skip
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for key, kept in arrays.items():
            value = changed() if key == name else kept
            if value is not None:
                archive.writestr(f"{key}.npy", _npy(value))
        if rng.random() < 0.2:
            head = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
            packed = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head) + 1) + head + b"\n" + trap
            archive.writestr("packed.npy", packed)
    return stream.getvalue()


def _with(array: np.ndarray, value: float) -> np.ndarray:
    """Return a copy with one number changed; of another type where it needs one."""
    if array.dtype.kind not in "fiu":
        return np.array(value)
    copy = array.astype(array.dtype if array.dtype.kind == "f" else float)
    with np.errstate(over="ignore"):
        copy.flat[: max(1, copy.size // 7)] = value
    is_whole = array.dtype.kind != "f" and np.isfinite(value)
    return copy.astype("i8" if is_whole else copy.dtype) if abs(value) < 1e9 else copy


def _npy(array: np.ndarray) -> bytes:
    stream = BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def damage_weights(content: bytes, rng: random.Random, _trap: bytes) -> bytes:
    """Change one array of an HDF5 file of weights."""
    import h5py

    stream = BytesIO(content)
    with h5py.File(stream, "r+") as file:
        names: list[str] = []
        file.visititems(
            lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None
        )
        name = rng.choice(names)
        array = file[name][()]
        changed = rng.choice((
            array[:0] if array.ndim else array, array[None], array.astype("i4"), array * np.nan,
            array + np.inf, np.zeros((3, 3, 5), "f4"), np.array(b"text"),
            array.astype("f8") * 1e300, None,
        ))  # fmt: skip
        del file[name]
        if changed is not None:
            file[name] = changed
    return stream.getvalue()


def damage_network(content: bytes, rng: random.Random, trap: bytes) -> bytes:
    """Change what is in a .keras file: its weights, its description."""
    with zipfile.ZipFile(BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(sorted(files))
    if name.endswith(".h5"):
        change = rng.choice(
            (damage_weights, lambda c, r, _: _flip(c, r), lambda c, r, _: _zero(c, r))
        )
        files[name] = change(files[name], rng, trap)
    else:
        files[name] = rng.choice((_extreme_number, _other_value, _truncate))(files[name], rng)
        lambda_layer = b'"class_name": "Lambda", "module": "keras.layers"'
        if rng.random() < 0.3:
            files[name] = files[name].replace(b'"class_name": "Conv2D"', lambda_layer, 1)
    if rng.random() < 0.1:
        del files[name]
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for key, kept in files.items():
            archive.writestr(key, kept)
    return stream.getvalue()
