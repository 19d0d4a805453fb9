"""Pages of judgements show what was found, and nothing where nothing was."""

import re
from dataclasses import replace
from typing import Any

import pytest

from tests.code.evaluation.sampled import scored
from tests.code.report.test_page import Page
from workbench.evaluation import costs, growth, paired, resample
from workbench.evaluation.growth import Point
from workbench.evaluation.scored import Scored
from workbench.report import judged


def compared(one: Scored) -> dict[str, Any]:
    draws = resample.resampled([one], 40)
    names = list(one.scores)
    return {
        "sides": names, "rows": len(one), "positives": one.positives, "left_out": 12, "samples": 40,
        "drawn": "customers", "verdict": "They differ.",
        "figures": {name: paired.means([one], name) for name in names},
        "intervals": {n: {k: resample.interval(v) for k, v in by.items()} for n, by in draws.items()},
        "paired": [paired.compared([one], draws, "weak", "strong")],
        "costs": {"normalised": {n: costs.normalised(one.label_N, z) for n, z in one.scores.items()}, "money": None},
        "evaluations": [{"name": n, "key": f"key-{n}", "experiment": "x", "code": "c"} for n in names],
        "config": {"train.<b>": [3, None]},
    }  # fmt: skip


def points(shares: tuple[float, ...]) -> list[Point]:
    """Models that get better with the rows."""
    found = []
    for share in shares:
        one = scored(rows=800, cards=100)
        better = {"strong": one.scores["strong"] + share * one.label_N}
        one = replace(one, scores=better, flagged={"strong": one.flagged["strong"]})
        figures = {"strong": paired.means([one], "strong")}
        found.append(Point(share, int(10_000 * share), int(100 * share), figures, [one]))
    return found


def learnt(shares: tuple[float, ...]) -> dict[str, Any]:
    measured = points(shares)
    told = [{"share": p.share, "rows": p.rows, "positives": p.positives, "figures": p.figures} for p in measured]
    found = growth.curves(measured, 40, True, [2.0])
    return {"experiment": "payments", "newest": True, "scored": 800, "shares": told, **found}


class TestSideBySide:
    def test_shows_both_with_their_difference_and_what_was_configured_otherwise(self) -> None:
        one = scored()
        about = compared(one)
        page = Page(judged.comparison(about, [one]))
        told = about["paired"][0]["figures"]["average_precision"]
        assert f"{told['difference']:+.3f}" in page.text
        assert page.row("train.<b>") == ["3", "–"]
        assert "12 others were not scored by all" in page.text
        assert page.row("evaluation") == ["key-weak", "key-strong"]

    def test_rows_without_customers_have_no_card_precision(self) -> None:
        one = scored(cards=None)
        assert Page(judged.comparison(compared(one), [one])).row("weak")[-2:] == ["–", ""]

    def test_needs_nothing_but_itself_and_lets_no_text_become_code(self) -> None:
        one = scored()
        html = judged.comparison(compared(one) | {"verdict": "<script>"}, [one])
        assert not re.findall(r"https?://|src=|@import|url\(|<script", html)


class TestLearningCurve:
    def test_shows_points_law_and_what_more_rows_would_give(self) -> None:
        about = learnt((0.25, 0.5, 1.0, 2.0))
        page = Page(judged.learning(about))
        assert page.row("0.5") == [
            "5,000",
            "50",
            "strong",
            *(f"{v:.3f}" for v in about["shares"][1]["figures"]["strong"].values()),
        ]
        assert page.row("strong")[:2] == ["40,000", "2"]
        assert page.tags.count("svg") == 3
        assert about["verdict"] in page.text

    def test_of_few_shares_no_law_is_made(self) -> None:
        about = learnt((0.5, 1.0))
        assert about["curves"]["strong"]["average_precision"]["fit"] is None
        assert "Fewer than four shares" in Page(judged.learning(about)).text

    @pytest.mark.parametrize(
        ("gain", "interval", "words"),
        [
            (0.02, [0.01, 0.03], "more data helps"),
            (0.001, [-0.002, 0.003], "more data hardly helps"),
            (0.02, [-0.01, 0.05], "it may help or not"),
        ],
    )
    def test_the_verdict_says_no_more_than_its_interval(self, gain: float, interval: list[float], words: str) -> None:
        told = [{"model": "ensemble", "times": 2.0, "gain": gain, "gain_interval": interval}]
        assert growth.verdict(told).endswith(f"{words}.")
