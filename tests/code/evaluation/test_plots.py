"""The pictures show every model, hold the figures' own points and can be read by any viewer of SVG."""

import re
from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib import pyplot

from workbench.evaluation import curves, plots
from workbench.report.charts import COLOURS

SVG = "{http://www.w3.org/2000/svg}"


def scores(rows: int = 2000, seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    random = np.random.default_rng(seed)
    label = (random.random(rows) < 0.1).astype(np.int8)
    logit = 2.0 * label - 3
    return label, {name: logit + random.normal(0, 1, rows).astype(np.float32) for name in ("xgboost", "ensemble")}


def drawn(label: np.ndarray, logits: dict[str, np.ndarray]) -> ElementTree.Element:
    return ElementTree.fromstring(plots.curves(label, logits))


def texts(picture: ElementTree.Element) -> list[str]:
    return ["".join(one.itertext()).strip() for one in picture.iter(f"{SVG}text")]


def test_there_are_three_titled_panels_and_a_legend_that_names_every_model() -> None:
    found = texts(drawn(*scores()))
    assert {"ROC", "Precision and recall", "Calibration"} <= set(found)
    assert [found.count(name) for name in ("xgboost", "ensemble")] == [1, 1]


def test_every_model_is_a_line_of_its_own_colour_in_every_panel() -> None:
    content = plots.curves(*scores()).decode().lower()
    for colour in COLOURS[:2]:
        assert len(re.findall(f"stroke: {colour.lower()}", content)) >= 3
    assert COLOURS[2].lower() not in content


def test_of_seven_models_each_has_its_own_colour_and_further_ones_are_dashed() -> None:
    label, logits = scores()
    many = {f"model {place}": logits["ensemble"] + place for place in range(9)}
    seven = plots.curves(label, dict(list(many.items())[:7])).decode().lower()
    for colour in COLOURS:
        assert len(re.findall(f"stroke: {colour.lower()}", seven)) >= 3
    assert {*many} <= set(texts(drawn(label, many)))
    assert {*many} <= set(texts(ElementTree.fromstring(plots.reliability(label, shares(many)))))
    assert len({tuple(plots._look(place).values()) for place in range(21)}) == 21


def shares(logits: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: 1 / (1 + np.exp(-logit)) for name, logit in logits.items()}


def test_a_picture_is_drawn_from_the_points_that_pages_are_drawn_from(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def points(name: str) -> Callable[..., curves.Points]:
        return lambda *_: asked.append(name) or [(0.5, 0.5)]

    for name in ("roc", "precision_recall", "calibration"):
        monkeypatch.setattr(curves, name, points(name))
    plots.curves(*scores())
    assert asked == ["roc", "precision_recall", "calibration"] * 2


def test_a_drawing_leaves_no_figure_and_no_style_behind() -> None:
    before = dict(pyplot.rcParams)
    plots.curves(*scores())
    assert pyplot.get_fignums() == []
    assert dict(pyplot.rcParams) == before


def test_a_model_that_says_the_same_of_every_row_can_be_drawn() -> None:
    label, _ = scores(50)
    assert "constant" in texts(drawn(label, {"constant": np.zeros(50, np.float32)}))


def test_a_perfect_and_a_reversed_model_can_be_drawn() -> None:
    label, _ = scores(300)
    for sign in (1, -1):
        assert "model" in texts(drawn(label, {"model": sign * (8.0 * label - 4)}))


@pytest.mark.parametrize("rows", [50, 50_000])
def test_a_picture_stays_small_however_many_rows_there_are(rows: int) -> None:
    assert len(plots.curves(*scores(rows))) < 300_000
