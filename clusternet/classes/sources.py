"""Whether class maps are learned from features, and from which rasters."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from clusternet.classes.naming import Rule
from clusternet.errors import RasterError, SettingsError
from clusternet.prediction.cluster_maps import ClusterMap
from clusternet.prediction.map_states import is_another_raster, stack_of
from clusternet.raster import check_same_grid, open_raster
from clusternet.raster.finding import is_one_raster
from clusternet.scene_rule import SceneRule

logger = logging.getLogger(__name__)

LEARNING_RULES: tuple[Rule, ...] = ("auto", "classifier")
"""The rules that look at features."""


def find_sources(
    rule: Rule | None,
    run: Path | None,
    rasters: Path | None,
    cluster_maps: Sequence[ClusterMap],
    maps: Path,
) -> tuple[tuple[Path, ...] | None, str]:
    """Find the rasters of cluster maps, if classes are learned from their features.

    Args:
        rule: the rule that the user named. None takes ``auto`` where run and rasters are known.
            For a run of the published scheme None names clusters, as the paper does.
        run: run folder of the maps.
        rasters: raster or folder of them; None looks where the maps say that they came from.
        cluster_maps: the maps.
        maps: the map, or the folder that holds the maps.

    Returns:
        the raster of each map, or None if clusters are named; and a note on how to have
        methods compared, or an empty string.

    Raises:
        SettingsError: if the rule needs what is not known.
        RasterError: if ``rasters`` has none for a map.
        GridMismatchError: if a raster does not lie on its map.
    """
    if rule is not None and rule not in LEARNING_RULES:
        if rasters is not None:
            logger.warning("--rasters is left aside: --rule %s needs the maps alone.", rule)
        return None, ""
    raster_paths = None
    if run is not None:
        from clusternet.training.run import scene_rule_of  # here: it loads faiss

        raster_paths = _rasters(rasters, cluster_maps, maps, scene_rule_of(run))
    if run is None or raster_paths is None:
        lacking = "--run RUN and --rasters FOLDER" if run is None else "--rasters FOLDER"
        if rule is not None:
            raise SettingsError(
                f"--rule {rule}: looks at the features of the rasters that {maps} was made from; "
                f"give {lacking}."
            )
        return None, f"clusters named by majority; {lacking} would let --rule auto compare methods"
    from clusternet.training.run import load_run  # here: it loads faiss

    if rule is None and load_run(run).settings.cluster_scope == "batch":
        return None, "clusters named by majority, as published; --rule auto compares methods"
    for cluster_map, path in zip(cluster_maps, raster_paths, strict=True):
        with open_raster(path) as raster:
            check_same_grid(cluster_map.profile, raster.profile)
        if is_another_raster(path, cluster_map.tags):
            logger.warning(
                "%s: has another name or size than the raster that %s was made from; check "
                "--rasters if it is another image.", path, cluster_map.path,
            )  # fmt: skip
    return raster_paths, ""


def _rasters(
    rasters: Path | None, cluster_maps: Sequence[ClusterMap], maps: Path, rule: SceneRule
) -> tuple[Path, ...] | None:
    """Return the raster of each map, None if maps do not say where all of them are."""
    if rasters is None:
        if rule.stack:
            found = (stack_of(each.path, each.tags, rule) for each in cluster_maps)
        else:
            found = (each.raster for each in cluster_maps)
        stated = tuple(path for path in found if path is not None)
        return stated if len(stated) == len(cluster_maps) else None
    if is_one_raster(rasters) and len(cluster_maps) == 1:
        return (rasters,)
    from clusternet.prediction.map_outputs import map_paths  # here: it loads faiss

    root = maps if maps.is_dir() else maps.parent
    by_map = {output: source for source, output in map_paths([rasters], root, rule)}
    by_name = {output.name: source for output, source in by_map.items()}
    raster_paths = []
    for cluster_map in cluster_maps:
        path = by_map.get(cluster_map.path) or by_name.get(cluster_map.path.name)
        if path is None:
            name = cluster_map.path.stem.removesuffix("_clusters")
            raise RasterError(
                f"{rasters}: expected the raster that {cluster_map.path} was made from, such as "
                f"{name}.tif, found none of that name."
            )
        raster_paths.append(path)
    return tuple(raster_paths)
