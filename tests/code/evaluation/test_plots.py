"""The pictures show every model, hold the figures' own points and can be read by any viewer of SVG."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import pyplot
from sklearn.metrics import precision_recall_curve, roc_auc_score, roc_curve

from workbench.evaluation import plots

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
    for colour in plots.COLOURS[:2]:
        assert len(re.findall(f"stroke: {colour.lower()}", content)) >= 3
    assert plots.COLOURS[2].lower() not in content


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


class TestThinning:
    def test_keeps_the_ends_and_takes_only_points_of_the_curve(self) -> None:
        label, logits = scores(20_000)
        x, y, _ = roc_curve(label, logits["ensemble"])
        thin = np.stack(plots._thin(x, y))
        assert thin.shape[1] <= plots.POINTS
        assert thin[:, 0].tolist() == [0, 0]
        assert thin[:, -1].tolist() == [1, 1]
        assert {tuple(point) for point in thin.T} <= set(zip(x, y, strict=True))

    def test_the_area_below_the_thinned_curve_is_the_area_below_the_curve(self) -> None:
        label, logits = scores(20_000)
        x, y = plots._thin(*roc_curve(label, logits["ensemble"])[:2])
        assert np.trapezoid(y, x) == pytest.approx(roc_auc_score(label, logits["ensemble"]), abs=1e-3)

    def test_the_steep_end_of_precision_and_recall_is_kept(self) -> None:
        label, logits = scores(20_000)
        precision, recall, _ = precision_recall_curve(label, logits["ensemble"])
        x, _ = plots._thin(recall, precision)
        assert np.abs(np.diff(x)).max() < 0.02

    @given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=50))
    @settings(max_examples=50, deadline=None)
    def test_of_any_curve_the_order_of_its_points_stays(self, points: list[tuple[float, float]]) -> None:
        x, y = np.array(points).T
        place = {(a, b): index for index, (a, b) in reversed(list(enumerate(points)))}
        found = [place[(a, b)] for a, b in zip(*plots._thin(x, y), strict=True)]
        assert found[0] == place[points[0]]
        assert set(found) <= set(place.values())


def test_groups_of_a_calibrated_model_lie_on_the_diagonal() -> None:
    random = np.random.default_rng(0)
    probability = random.beta(1, 20, 200_000)
    label = (random.random(200_000) < probability).astype(int)
    figure, axes = pyplot.subplots()
    try:
        plots._calibration(axes, label, probability, "model", "k")
        predicted, observed = axes.lines[0].get_data()
    finally:
        pyplot.close(figure)
    assert len(predicted) == 8
    assert observed == pytest.approx(predicted, rel=0.15)
