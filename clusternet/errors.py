"""The errors that a caller can act on.

Every message names the file or flag, what was expected, what was found, and what to do.
Scripts turn any of these into one line on stderr and exit status 2.
"""


class ClusterNetError(Exception):
    """A mistake in the input or the environment that the user can correct."""


class SettingsError(ClusterNetError):
    """A setting, flag or settings file holds a value that cannot be used."""


class RasterError(ClusterNetError):
    """A raster cannot be read, or holds values that cannot be used."""


class GridMismatchError(RasterError):
    """Two rasters, or vectors and a raster, differ in grid, CRS or position."""


class PatchError(ClusterNetError):
    """A folder of patches is missing, empty, inconsistent or damaged."""


class RunError(ClusterNetError):
    """A run folder is incomplete, was not written by ClusterNet, or does not fit its input."""


class ClusteringError(ClusterNetError):
    """The features cannot be clustered: too few, constant or not finite."""


class LabelError(ClusterNetError):
    """Labels, a legend or vectors do not fit the maps that they are used with."""


class OutputError(ClusterNetError):
    """An output exists already, or cannot be written."""


class WorkerError(ClusterNetError):
    """Worker processes ended again and again, or their cluster is gone; inputs may be sound."""
