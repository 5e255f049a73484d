"""Match the bands of a raster to those of another raster or of a run."""

from __future__ import annotations

import logging
import shlex

from clusternet.errors import ClusterNetError
from clusternet.messages import short
from clusternet.raster import RasterProfile
from clusternet.raster.band_identity import Arrangement, BandIdentity, BandsDifferError

logger = logging.getLogger(__name__)


def fit_bands(
    known: BandIdentity, profile: RasterProfile, reference: str, error: type[ClusterNetError]
) -> Arrangement:
    """Return the arrangement that reads the bands of a raster as the known bands.

    Args:
        known: the metadata of the known bands.
        profile: profile of the raster, which has as many bands.
        reference: the file or run with the known bands, for messages.
        error: the error to raise.

    Raises:
        ClusterNetError: of the kind ``error``, if the metadata of the two contradict each other.
    """
    try:
        return known.arrange(profile.bands)
    except BandsDifferError as difference:
        raise error(_refusal(known, profile, reference, difference.kind)) from difference


def report_fit(
    arrangement: Arrangement, known: BandIdentity, profile: RasterProfile, reference: str
) -> None:
    """Warn of what `fit_bands` changed, and of scales that it could not compare."""
    if arrangement.order is not None:
        logger.warning(
            "%s: its bands stand in another order than those of %s; they are read in the order %s.",
            profile.path, reference, ", ".join(str(i + 1) for i in arrangement.order),
        )  # fmt: skip
    if arrangement.factors is not None:
        logger.warning(
            "%s: its pixels are stored at another scale than those of %s (%s, not %s); they are "
            "brought to that one.",
            profile.path, reference, _scale(profile.bands), _scale(known),
        )  # fmt: skip
    elif known.states_other_scale(profile.bands):
        logger.warning(
            "%s: only one of it and %s says at which scale pixels are stored (%s); they are taken "
            "as they stand.", profile.path, reference, _scale(known) or _scale(profile.bands),
        )  # fmt: skip


def _scale(bands: BandIdentity) -> str:
    if not bands.scales:
        return ""
    return f"scale {bands.scales[0]:g}, offset {bands.offsets[0]:g}"


def _refusal(known: BandIdentity, profile: RasterProfile, reference: str, kind: str) -> str:
    text = (
        f"{profile.path}: its bands are {profile.bands.named(kind)}, not {known.named(kind)} as in "
        f"{reference}"
    )
    # Metadata are often wrong, so the message also tells how to correct them.
    if kind == "colours":
        names = ",".join(colour or "undefined" for colour in known.colours)
        command = f"rio edit-info --colorinterp {names}"
    elif kind == "descriptions":
        pairs = enumerate(zip(known.descriptions, profile.bands.descriptions, strict=True), 1)
        number, name = next((i, k) for i, (k, other) in pairs if k and k != other)
        command = f"rio edit-info --bidx {number} --description {shlex.quote(short(name, 40))}"
    else:
        return f"{text}; give a raster that has them."
    command = f"{command} {shlex.quote(str(profile.path))}"
    return f"{text}. If they are the same, correct what the file says: {command}"
