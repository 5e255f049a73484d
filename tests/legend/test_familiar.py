"""Classes have the colours that maps give to what their names mean, and colours that differ."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusternet.colour_vision import as_seen, distances
from clusternet.legend.familiar import COLOURS, class_colours, familiar_colour
from clusternet.legend.familiar_words import kind_of

NAMES = {
    "water": "Water WATER lakes Wasser Wasserfläche Gewässer eaux rivière agua acqua água вода",
    "forest": "forest Wald Wälder Laubwald Waelder forêts bosque boschi floresta naaldbos лес",
    "tree": "trees Baum Einzelbäume arbres árboles alberi árvore bomen деревья",
    "road": "roads Straße STRASSEN Waldweg route carretera strade estrada wegen дорога",
    "roof": "roofs Dach Hausdach toit toiture tejados tetto telhado dak крыша",
    "building": "buildings Gebäude Wohngebäude bâtiments edificio edifícios gebouwen здания",
    "grass": "grass Wiese herbe prairie hierba césped erba grama gras трава",
    "field": "fields cropland Acker Ackerfläche champs campo campi velden поле",
    "bare": "bare Boden soil sand",
    "snow": "snow Schnee neige nieve neve sneeuw снег",
}
PHRASES = {
    "open water": "water", "plan d'eau": "water", "forest road": "road", "tree_cover": "tree",
    "route forestière": "road", "green roof": "roof", "toit en herbe": "roof", "bare soil": "bare",
    "sol nu": "bare", "suelo desnudo": "bare", "голая почва": "bare", "low grass": "grass",
    "built-up area": "building", "coniferous forest": "forest", "las": "forest", "森林": "forest",
    "corpi idrici": "water", "водные объекты": "water", "forest, broad-leaved": "forest",
    "las liściasty": "forest", "阔叶林": "forest", "針葉樹林": "forest",
    "forêt de feuillus": "forest",
    "Siedlungsflächen": "building", "zone urbaine": "building", "terres cultivées": "field",
    "snow/ice": "snow", "neige et glace": "snow", "ice field": "snow", "冰雪": "snow",
    "rock outcrop": "bare", "草原": "grass", "пашня": "field", "Bare / sparse vegetation": "bare",
}  # fmt: skip
UNFAMILIAR = (
    "non-forest", "not water", "kein Wald", "deforestation", "forest loss", "class 3", "1", "",
    "unknown", "background", "car", "clutter", "cloud", "stadium", "machine", "Anbau", "las cosas",
    "waterproof", "screwdriver", "snowflake", "broad", "thousand", "carrots", "Landkreis", "secret",
    "grassroots", "low veg", "manager", "nonforest", "snow-free", "treeless", "tree shadow",
    "cloud over water", "forest fire", "water tower", "soccer field", "ground track field",
)  # fmt: skip


@pytest.mark.parametrize("kind", NAMES)
def test_common_names_in_several_languages_have_the_colour_of_maps(kind: str) -> None:
    assert {name: familiar_colour(name) for name in NAMES[kind].split()} == dict.fromkeys(
        NAMES[kind].split(), COLOURS[kind]
    )


def test_names_of_several_words_mean_their_main_noun() -> None:
    assert {name: kind_of(name) for name in PHRASES} == PHRASES


@pytest.mark.parametrize("name", UNFAMILIAR)
def test_names_that_mean_no_land_cover_have_no_colour_of_their_own(name: str) -> None:
    assert kind_of(name) is None


def test_a_legend_wins_over_the_colour_of_maps() -> None:
    assert class_colours({1: "water", 2: "forest"}, {1: (9, 8, 7)})[1] == (9, 8, 7)


def test_unknown_is_grey() -> None:
    assert class_colours({0: "forest", 1: "unknown"})[1] == (128, 128, 128)


def test_a_class_has_the_same_colour_whichever_classes_stand_beside_it() -> None:
    alone = class_colours({3: "class 3", 5: "water"})
    assert (
        alone.items() <= class_colours({**{n: f"class {n}" for n in range(5)}, 5: "water"}).items()
    )


@given(st.lists(st.sampled_from(["forest", "Wald", "water", "road", "car", "boat"]), max_size=12))
def test_no_two_classes_look_alike_to_anybody(names: list[str]) -> None:
    colours = list(class_colours({i: f"{name} {i}" for i, name in enumerate(names)}).values())
    seen = as_seen(np.array(colours))
    apart = distances(seen, seen) + 99 * np.eye(len(colours))
    assert not colours or apart.min() > 5


def test_the_colours_of_maps_are_told_apart_by_colour_blind_people() -> None:
    nodata, unknown = (225, 225, 225), (128, 128, 128)
    seen = as_seen(np.array([*COLOURS.values(), nodata, unknown]))
    assert (distances(seen, seen) + 99 * np.eye(seen.shape[1])).min() > 7
