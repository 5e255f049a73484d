"""The registry of options that commands share. Nothing here takes long to load."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from clusternet.errors import RasterError
from clusternet.locations import location
from clusternet.nodata import number
from clusternet.settings import TilingSettings, TrainingSettings
from clusternet.windows import Shape


def raster_argument(text: str) -> Path:
    """Return the path of a raster that was typed: a local one, or an address."""
    try:
        return location(text)
    except RasterError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


_SHAPE: dict[str, Any] = dict(nargs=2, type=int, metavar=("ROWS", "COLS"))
_PATH: dict[str, Any] = dict(type=Path, metavar="PATH")
_RASTER: dict[str, Any] = dict(type=raster_argument, metavar="PATH")
_FLAG: dict[str, Any] = dict(action=argparse.BooleanOptionalAction)


def _of_settings(settings: type) -> dict[str, dict[str, Any]]:
    """Return an option for each field of a settings class, made from its annotation."""
    options = {}
    for name, hint in get_type_hints(settings, include_extras=True).items():
        kind, text, *more = get_args(hint)
        options[name] = _argument(kind) | {"help": text} | (more[0] if more else {})
    return options


def _argument(kind: Any) -> dict[str, Any]:
    """Return the keywords with which argparse reads values of a type."""
    members = get_args(kind)
    if get_origin(kind) is Literal:
        return {"choices": members}
    if {int, float} <= set(members):
        return {"type": number}
    if NoneType in members:
        return _argument(members[0])
    return {bool: _FLAG, Shape: _SHAPE}.get(kind, {"type": kind})


_OTHERS: dict[str, dict[str, Any]] = {
    # shared
    "output": _PATH | dict(help="run folder to write (default: runs/ and the name of PATCHES)"),
    "output_folder": _PATH | dict(help="folder to write to"),
    "overwrite": dict(action="store_true", help="replace an output that ClusterNet wrote"),
    "ray": dict(metavar="ADDRESS", help="work on a running Ray cluster: auto, or host:port"),
    "num_workers": dict(type=int, metavar="N", help="Ray workers, which share the cores; "
        "without --ray a cluster of this machine, which ends with the command"),
    "min_workers": dict(type=int, metavar="N", help="workers that training goes on with if the "
        "cluster loses a node and gets no other; the result then differs (default: all)"),
    "aoi": _PATH | dict(help="file of polygons in any CRS (GeoPackage, GeoJSON, shapefile): only "
        "pixels inside count, all others are nodata"),
    # tile
    "masks_folder": _RASTER | dict(help="folder of label rasters to tile with the same windows, "
        "named as their rasters or with _mask appended; 255 will mark pixels without a label, "
        "and classes.json names the classes"),
    # train
    "test_img_folder": _PATH | dict(help="patches to write cluster maps of after every epoch"),
    "out_pred_masks_test": _PATH | dict(help="where those maps go (default: test_maps in the run)"),
    "resume": dict(action="store_true", help="continue the run in the output folder"),
    "current_epoch": dict(type=int, metavar="EPOCH", help="number to start counting epochs at"),
    "pretrained_weights": _PATH | dict(help="another run, its model.keras, or a .weights.h5 file, "
        "to start from; with --labels the settings of that run stand"),
    "labels": _PATH | dict(help="labels of the scenes that the patches were cut from: a raster or "
        "vector file, or a folder of files named like the scenes; the run learns their classes "
        "and predicts them"),
    "out_weights_file": _PATH | dict(help="also write the final weights here (.weights.h5)"),
    # predict
    "assign": dict(choices=("codebook", "head", "classes"), help="clusters by the nearest centroid "
        "or by the softmax head, or the classes of a fine-tuned run (default: classes if the run "
        "has them, else codebook)"),
    "window_size": dict(type=int, metavar="PIXELS", help="side of the windows that are predicted; "
        "memory grows with its square, the map does not depend on it (default: what fits 2.5 GiB, "
        "1024 at most)"),
    "confidence": _FLAG | dict(help="also write the confidence of each pixel's cluster, 0 to 254"),
    "features": _FLAG | dict(help="also write what the features hold, as bytes: "
                             "leading components, and the bands"),
    "cog": _FLAG | dict(help="write cloud-optimised GeoTIFFs with overviews"),
    "skip_existing": dict(action="store_true", help="go on with what ended early: keep maps made "
        "from the same raster, run and options (other maps of ClusterNet are replaced), or patches "
        "of rasters that the same command has cut"),
    "mosaic": _PATH | dict(help="also write a virtual raster (.vrt) that shows all cluster maps as "
        "one; the rasters need one CRS"),
    # labels
    "design": dict(choices=("pixels", "stratified"), help="pixels: score every labelled pixel; "
        "stratified: LABELS are points of tools/sample.py, and areas and accuracies are estimated "
        "from them with 95 %% intervals"),
    "map_field": dict(metavar="FIELD", help="field of points that holds the class of the map"),
    "area_margin": dict(type=float, metavar="SHARE", help="wanted half width of the interval of "
        "each class's area, as a share of the area"),
    "accuracy_margin": dict(type=float, metavar="SHARE", help="wanted half width of the interval "
        "of the overall accuracy"),
    "per_class": dict(type=int, metavar="N", help="points in each class"),
    "min_distance": dict(type=float, metavar="X", help="smallest distance of two points: metres, "
        "or pixels where the CRS does not tell"),
    "hide_map_class": _FLAG | dict(help="let QGIS hide the class of the map, so that it does not "
        "sway who fills in the reference"),
    "class_field": dict(metavar="FIELD", help="field of vector labels that holds the class "
        "(default: class)"),
    "layer": dict(metavar="NAME", help="layer to read of vector files with several layers"),
    "background": dict(type=int, metavar="CLASS", help="class of pixels under no shape of vector "
        "labels (default: unlabelled)"),
    # classes
    "legend": _PATH | dict(help="legend.csv to apply, instead of labels"),
    "run": _PATH | dict(help="run folder that the maps come from; needed to find the nearest "
        "labelled cluster, and to compare methods"),
    "unlabelled": dict(choices=("nearest", "unknown"), help="class of clusters without labelled "
        "pixels: that of the nearest labelled centroid, or unknown"),
    "rasters": _RASTER | dict(help="raster that the maps come from, or folder of them (default: "
        "where the maps say that they come from)"),
    "rule": dict(choices=("auto", "clusters", "classifier", "majority", "binary"), help="auto "
        "compares naming clusters with classifiers of features, on labels held back; it needs the "
        "run and the rasters. classifier compares these alone; clusters or majority: clusters get "
        "the class of most labelled pixels; binary, as in the published code: labels are 0 and 1, "
        "and a cluster becomes 1 if its share of 1 reaches --keep_clust_threshold, else 0 "
        "(default: auto where run and rasters are known, else clusters)"),
    "prefer": dict(metavar="AIM[:CLASS]", help="what matters: recall, precision or iou, of all "
        "classes or of one, as in recall:roof; found on labels that are held back"),
    "keep_clust_threshold": dict(type=float, metavar="SHARE", help="with --rule binary: smallest "
        "share of 1 among the labelled pixels of a cluster that becomes 1"),
    "gt_fraction": dict(type=float, metavar="SHARE", help="share of the label files that are "
        "used, drawn at random"),
    "polygons": _PATH | dict(help="also write polygons to this GeoPackage"),
    "sieve": dict(type=int, metavar="PIXELS", help="for polygons: areas of fewer pixels take the "
        "class of their largest neighbour"),
    "min_area": dict(type=int, metavar="PIXELS", help="for polygons: leave smaller ones out"),
    "simplify": dict(type=float, metavar="PIXELS", help="for polygons: tolerance of simplified "
        "borders"),
    # rasterize
    "burn_value": dict(type=int, metavar="CLASS", help="give all shapes this class"),
    "order_field": dict(metavar="FIELD", help="burn in ascending order of this field, so that "
        "higher values lie on top (default: order of the file)"),
    "all_touched": _FLAG | dict(help="label every pixel that a shape touches, not only those "
        "whose centre it covers"),
    # draw
    "strokes": _PATH | dict(help="strokes drawn before (.gpkg, .geojson), or any points, lines and "
        "areas with a class"),
    "certainty": _PATH | dict(help="also write how certain the class of each pixel is (.tif): 0 "
        "is undecided between two classes, 254 is certain"),
    "class_table": _PATH | dict(help="also write strokes, pixels and area of each class (.csv)"),
    "drawn_on": _RASTER | dict(help="raster that the strokes were drawn on, if it is another one "
        "of the same run"),
    "stroke_rule": dict(choices=("perceptron", "ensemble", "logistic", "centroids", "clusters",
        "forest"), help="how strokes become classes; clusters is the published rule"),
    "smooth": dict(type=int, metavar="PIXELS", help="side of the squares that smooth a map along "
        "edges of the image; 1 leaves every pixel its own class"),
    "cache_folder": _PATH | dict(help="where the scene's features are kept, about 40 bytes a "
        "pixel (default: beside the run)"),
    "backdrop": _PATH | dict(help="another raster of the same place, to show behind the classes"),
    "host": dict(help="address to serve the page on; 0.0.0.0 lets other machines in, with a token "
        "that is printed"),
    "port": dict(type=int, help="port to serve the page on; 0 takes a free one"),
    "browser": _FLAG | dict(help="open the page in the default browser"),
    # evaluate
    "history": dict(type=Path, metavar="RUN", help="also score the test maps of each epoch of "
        "this run, trained with --test_img_folder; with LABELS but no MAPS, only these"),
    "clusters": _FLAG | dict(help="the maps hold clusters, or classes (default: as their metadata "
        "state, else classes)"),
    "classes": _PATH | dict(help="classes.json, legend.csv or another table with the columns "
        "class and name: the classes that labels may hold"),
    "ignore_label": dict(type=int, metavar="LABEL", help="label value of pixels without a label, "
        "in addition to the file's nodata value (default: 255 in 8-bit rasters)"),
    "labelled_fraction": dict(type=float, metavar="FRACTION", help="for cluster maps: share of "
        "blocks of 128 x 128 pixels whose labels are used to name the clusters"),
    "draws": dict(type=int, help="for cluster maps: how often such blocks are drawn"),
}  # fmt: skip

OPTIONS = _of_settings(TilingSettings) | _of_settings(TrainingSettings) | _OTHERS
"""The keywords of argparse's ``add_argument`` for each option."""


def training_defaults() -> dict[str, Any]:
    """Return the default of each training setting by name."""
    return {field.name: field.default for field in dataclasses.fields(TrainingSettings)}


def training_settings(args: argparse.Namespace) -> TrainingSettings:
    """Build the training settings from parsed arguments."""
    values = {name: getattr(args, name) for name in training_defaults()}
    return TrainingSettings.from_mapping(values)
