"""The catalogue says of every feature what it is, how it is spread, how often missing, its importance and its drift."""

import copy
import json
import re
from typing import Any

import pytest

from tests.code.features.samples import small
from tests.code.report.test_page import Page, finished
from workbench.data.store import Artifact, Store
from workbench.report import catalogue

NAMES = small().names
PROFILE = {"null_share": 0.25}
SHAPE = {"low": -0.5, "high": 3.5, "whole": True, "counts": [5, 10, 0, 5]}
REFERENCE = {
    "profile": {"rows": 20, "features": dict.fromkeys(NAMES, PROFILE)},
    "shapes": dict.fromkeys(NAMES, SHAPE),
    "importance": {name: place / 100 for place, name in enumerate(NAMES)},
    "source_missing": {"amount": 0.0312, "customer": 0.01},
}
DRIFT = {"psi": 0.75, "p_value": 1e-9, "drifted": True, "missing_drifted": False, "missing_current": 0.125}
FINDINGS = {"drift": [{"name": name, **DRIFT} for name in NAMES], "shapes": {name: [0, 1, 0, 1] for name in NAMES}}


def version(store: Store) -> Artifact:
    return finished(store, "models", {}, {"features.json": small().to_json(), "reference.json": REFERENCE})


@pytest.fixture
def shown(store: Store) -> Page:
    return Page(catalogue.render("small", version(store), FINDINGS))


def test_every_feature_is_there_the_most_important_first(shown: Page) -> None:
    first = [row[0] for row in shown.rows[1:]]
    assert len(first) == len(NAMES)
    assert all(one.startswith(name) for one, name in zip(first, reversed(NAMES), strict=True))


def test_a_feature_has_all_six(store: Store, shown: Page) -> None:
    (row,) = [row for row in shown.rows if row[0].startswith("before_sum_1d")]
    what, _, missing, importance, drift = row
    assert (
        what == "before_sum_1dSum of amount over the events with the same customer in the 1 day before the row."
        "amountcustomertime"
    )
    assert missing == "source3.12 %then25.00 %now12.50 %", "the source that is missing most counts"
    assert importance == f"{NAMES.index('before_sum_1d') / 100:.4f}"
    assert drift == "0.750p = 1e-09drifted"
    html = catalogue.render("small", version(Store(store.root + "2")), FINDINGS)
    assert html.count("<svg") == html.count('stroke="#D55E00"') == len(NAMES), "a picture of both windows each"


def test_without_decisions_no_drift_is_claimed(store: Store) -> None:
    html = catalogue.render("small", version(store), {"drift": [], "shapes": {}})
    assert html.count("no decisions") == len(NAMES)
    assert 'stroke="#D55E00"' not in html
    assert "now</dt>" not in html


def test_the_bars_are_as_high_as_the_rows_are_many() -> None:
    heights = [height for _, _, _, height in catalogue.bars([5, 10, 0, 5])]
    assert heights == [catalogue.HEIGHT / 2, catalogue.HEIGHT, catalogue.HEIGHT / 2]


def test_both_windows_are_drawn_as_shares_of_their_own_rows() -> None:
    same = catalogue.line([5, 10, 5], [50, 100, 50])
    assert re.findall(r"V([\d.]+)", same) == ["21.5", "0.0", "21.5"]
    assert re.findall(r"V([\d.]+)", catalogue.line([5, 10, 5], [0, 0, 7])) == ["43.0", "43.0", "0.0"], "cut at the top"
    assert catalogue.line([1], []) == ""


def test_the_page_needs_nothing_but_itself_and_a_text_stays_a_text(store: Store) -> None:
    findings: dict[str, Any] = copy.deepcopy(FINDINGS)
    html = catalogue.render("<script>x</script>", version(store), json.loads(json.dumps(findings)))
    assert not re.findall(r"https?://|src=|@import|url\(", html)
    assert "<script" not in html
