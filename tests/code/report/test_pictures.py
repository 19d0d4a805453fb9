"""Each picture shows what it was given, says what its axes are, and can be shown by a notebook."""

import datetime as dt
import re
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest

from workbench.report import pictures
from workbench.report.charts import COLOURS
from workbench.report.pictures import Draw

FOUND = {
    "name": "amount", "drifted": True, "psi": 0.31, "edges": [10.0, 2500.0],
    "reference": [0.5, 0.3, 0.2], "current": [0.1, 0.3, 0.6],
}  # fmt: skip
ABOUT = {
    "figures": {"trees": {"roc_auc": 0.9}, "mixture": {"roc_auc": 0.92}},
    "intervals": {"trees": {"roc_auc": [0.88, 0.91]}, "mixture": {"roc_auc": [0.9, 0.94]}},
}
HISTORY = pa.Table.from_pylist(
    [
        {"family": family, "fit": f"select-{fold}", "metric": metric, "step": step, "value": step / 10}
        for family in ("trees", "network")
        for fold in range(2)
        for metric in ("average_precision", "train_loss")
        for step in (1, 2, 4)
    ]
)
FINDINGS = {
    "performance": {"average_precision": 0.3, "interval": [0.2, 0.4]},
    "promised": {"average_precision": 0.35}, "interval": [0.31, 0.4],
}  # fmt: skip
DRAWS: dict[str, tuple[Draw, list[str]]] = {
    "spread": (
        pictures.spread("Amounts", "euro", {"good": [1, 2, 30.5], "fraud": [9, 99, np.nan]}, log=True),
        ["Amounts", "euro", "share of rows", "good", "fraud"],
    ),
    "counts": (
        pictures.counts("By day", "day", {dt.date(2018, 7, 1): 3, "later": 4}),
        ["By day", "day", "rows", "1 Jul", "later"],
    ),
    "ranked": (pictures.ranked("Weight", "fall", {"a": 1.0, "b": -2.0}), ["Weight", "fall", "a", "b"]),
    "steps": (pictures.steps({"ingest": 2.0, "train": 8.0}), ["The steps of 10 s", "seconds since the start", "train"]),
    "learning": (pictures.learning(HISTORY), ["While it learnt", "% of the steps", "average precision", "network"]),
    "intervals": (pictures.intervals("Order", ABOUT, "roc_auc"), ["Order", "ROC AUC, 95 %", "trees", "mixture"]),
    "promised": (pictures.promised(FINDINGS), ["As good as promised?", "average precision, 95 %", "promised", "live"]),
    "windows": (
        pictures.windows(FOUND),
        ["amount", "PSI 0.310, drifted", "share of rows", "up to", "reference", "now", "2,500", "more"],
    ),
    "curve": (
        pictures.curve("Other amounts", "euro", [1, 10, 100], "score", [0.1, 0.2, 0.9], mark=10, limit=0.5),
        ["Other amounts", "euro", "score", "as it was", "flagged from here on"],
    ),
    "stacked": (
        pictures.stacked("Why", "log-odds", -3.0, {"a": 2.0, "b": -1.0, "c": 0.1, "d": 0.1}, most=2),
        ["Why", "log-odds (orange raises, blue lowers)", "a", "b", "all others", "all together"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DRAWS)
def test_a_picture_has_title_axes_and_names(name: str) -> None:
    draw, words = DRAWS[name]
    svg = pictures.panels(draw)._repr_svg_()
    assert svg.startswith('<svg style="max-width: 100%'), "a notebook's page takes it as it is, and no wider than it is"
    texts = [element.text for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert [word for word in words if word not in texts] == []


def test_panels_lie_in_rows_of_the_columns_that_are_asked_for() -> None:
    one, three = (pictures.panels(*[DRAWS["counts"][0]] * count, columns=2).svg for count in (1, 3))
    width, height = (float(re.search(rf'{side}="([\d.]+)pt"', one)[1]) for side in ("width", "height"))  # type: ignore[index]
    assert f'width="{2 * width:g}pt" height="{2 * height:g}pt"' in three
    assert three.count(">By day<") == 3


def test_the_parts_that_are_left_out_are_kept_as_their_sum() -> None:
    drawn = pictures.panels(DRAWS["stacked"][0]).svg
    assert drawn.count(f"fill: {COLOURS[1].lower()}") == 2, "a, and all others, raise it"
    assert drawn.count(f"fill: {COLOURS[0].lower()}") == 1, "b lowers it"


def test_shares_add_up_to_one() -> None:
    assert pictures.shares([2, 1, 2, 2]) == {1: 0.25, 2: 0.75}
