"""The report shows what the artifacts hold, says nothing that they do not, and lets no text become code."""

import copy
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError

from workbench.data.store import Artifact, Store
from workbench.errors import StoreError
from workbench.report import page

VALUES = {"roc_auc": 0.951, "average_precision": 0.702, "card_precision_at_100": 0.3}
SHAKY = {"roc_auc": 0.5, "average_precision": 0.01, "card_precision_at_100": None}
CARD = {
    "members": ["xgboost", "torch_mlp"],
    "weights": [0.6, 0.4],
    "steps": {"xgboost": 120, "torch_mlp": 9},
    "threshold": 0.123456,
    "calibration": {"method": "platt", "knot": [0.0], "value": [-0.1], "slope": 1.1},
    "decision": {
        "rule": "cost",
        "threshold": 0.123456,
        "flags_per_day": 84.25,
        "precision": 0.625,
        "recall": 0.5,
        "false_positive_rate": 0.004,
        "cost_minor_per_day": 1234567.0,
    },
    "largest_difference_to_framework": {"xgboost": 2e-8, "torch_mlp": 3e-7},
    "code": "0123456789ab",
}
FINDINGS = {
    "rows": 61234,
    "drift": [
        {
            "name": "amount",
            "psi": 0.75,
            "p_value": 1e-9,
            "drifted": True,
            "mean_reference": 10.0,
            "mean_current": 20.5,
            "missing_drifted": False,
            "missing_reference": 0.0,
            "missing_current": 0.0,
        },
        {
            "name": "night",
            "psi": 0.001,
            "p_value": 0.8,
            "drifted": False,
            "mean_reference": None,
            "mean_current": None,
            "missing_drifted": True,
            "missing_reference": 0.01,
            "missing_current": 0.25,
        },
    ],
    "latency_ms": {"p50": 0.31, "p95": 0.6, "p99": 0.92},
    "performance": {"matured": 50000, "waiting": 11234, "judged": 49000, "interval": [0.55, 0.75], **VALUES},
    "promised": VALUES,
    "interval": [0.62, 0.78],
}
SECONDS = {"ingest": 3.21, "train": 40.0}
VERDICT = {"verdict": "drift", "reasons": ["amount drifted."], "advice": "Look at amount."}
REPLAYED = {
    "events": 61234, "labels": 480, "seconds": 41.2, "requests_per_s": 1486.2,
    "client_latency_ms": {"p50": 8.04, "p99": 17.26},
}  # fmt: skip
NOTE = {
    "check": "copied rows",
    "column": "(rows)",
    "evidence": "2 rows have an equal one",
    "remedy": "Few.",
    "leak": False,
}
LEAKS: dict[str, Any] = {
    "table": "payments", "rows": 61234, "positives": 480, "columns": 15, "unread": ["tags"], "tested_rows": 61234,
    "false_alarm_rate": 0.01, "leaks": [], "notes": [],
    "checks": [
        {"question": "Do rows occur twice?", "on": "all 61,234 rows", "skipped": ""},
        {"question": "Does it look ahead?", "on": "all", "skipped": "not asked: the rows have no time"},
    ],
}  # fmt: skip
HONEST = {"ensemble": {"brier": 0.00412, "log_loss": 0.0221, "calibration_error": 0.00133}}
Done = dict[str, Artifact]
BESIDE = {"Random forest": [0.98, 0.66, 0.3]}


def finished(store: Store, kind: str, figures: dict[str, Any], files: dict[str, Any], **extra: Any) -> Artifact:
    stage = store.stage(kind, f"{kind}-1")
    for name, content in files.items():
        stage.write_bytes(name, content) if isinstance(content, bytes) else stage.write_json(name, content)
    return stage.commit({}, {}, figures, **extra)


def loop(
    store: Store,
    card: dict[str, Any] = CARD,
    findings: dict[str, Any] = FINDINGS,
    leaks: dict[str, Any] = LEAKS,
    **verdict: Any,
) -> Done:
    """What a finished loop hands to its report."""
    figures = {"xgboost": SHAKY, "ensemble": VALUES}  # of the version; the evaluation's are means over seeds
    means = {name: {**one, "average_precision": 0.6, "roc_auc": 0.9} for name, one in figures.items()}
    intervals = {name: {"average_precision": [0.65, 0.75]} for name in figures}
    curves = b'<?xml version="1.0"?>\n<svg viewBox="0 0 1 1"><path d="M0 0"/></svg>'
    return {
        "ingest": finished(store, "raw", {"rows": 1234567}, {}),
        "validate": finished(store, "validated", {"rows": 1234560, "quarantined": 7}, {}),
        "featurize": finished(store, "features", {"features": 15, "feature_set": "cafe"}, {}),
        "leakcheck": finished(store, "leakchecks", leaks, {}),
        "evaluate": finished(
            store, "evaluations", means,
            {"intervals.json": intervals, "curves.svg": curves, "reliability.svg": curves, "calibration.json": HONEST},
        ),
        "register": finished(store, "models", figures, {"card.json": card}),
        "replay": finished(store, "replays", REPLAYED, {}),
        "parity": finished(store, "parity", {"rows": 61000, "cells": 915000, "differing": 0, "control": True}, {}),
        "monitor": finished(store, "monitoring", VERDICT | verdict, {"findings.json": findings}),
    }  # fmt: skip


def changed(original: dict[str, Any], **values: Any) -> dict[str, Any]:
    return copy.deepcopy(original) | values


class Page(HTMLParser):
    """The cells of all tables, the text, and the tags of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[str] = []
        self.text, self.inside = "", False
        self.feed(html)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self.inside = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self.inside = False

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.inside:
            self.rows[-1][-1] += data.strip()

    def row(self, first: str) -> list[str]:
        """The rest of the row that begins with this cell."""
        (found,) = [row[1:] for row in self.rows if row and row[0] == first]
        return found


@pytest.fixture
def shown(store: Store) -> Page:
    return Page(page.render("smoke", loop(store), SECONDS, BESIDE))


def test_each_model_has_its_figures_and_its_interval(shown: Page) -> None:
    assert shown.row("ensemble") == ["0.951", "0.702", "0.650 to 0.750", "0.300"]
    assert shown.row("xgboost") == ["0.500", "0.010", "0.650 to 0.750", ""], "a figure that there is not is left open"


def test_how_honest_the_scores_are_stands_beside_how_they_rank(shown: Page) -> None:
    assert shown.row("ensemble, as probability") == ["0.00412", "0.02210", "0.00133"]
    assert shown.tags.count("svg") == 2


def test_the_version_says_by_which_rule_it_flags_and_what_that_costs(shown: Page) -> None:
    assert shown.row("threshold") == ["0.12346, by cost"]
    assert shown.row("calibration") == ["platt"]
    (told,) = shown.row("on validation rows it flags")
    assert " ".join(told.split()) == (
        "84.2 a day, precision 0.625, recall 0.500, 0.400 % of the good; cost 1,234,567 minor units a day"
    )


def test_a_threshold_that_flags_nothing_has_no_precision_and_no_cost_is_left_out(store: Store) -> None:
    silent = CARD["decision"] | {"precision": None, "cost_minor_per_day": None}
    found = Page(page.render("smoke", loop(store, card=changed(CARD, decision=silent, calibration=None)), SECONDS, {}))
    assert found.row("calibration") == ["none"]
    assert "precision -," in found.row("on validation rows it flags")[0]
    assert "cost" not in found.row("on validation rows it flags")[0]


def test_published_figures_stand_beside_ours_without_an_interval(shown: Page) -> None:
    assert shown.row("published: Random forest") == ["0.980", "0.660", "", "0.300"]


def test_the_version_says_how_it_was_made(shown: Page) -> None:
    assert shown.row("version") == ["models-1"]
    assert shown.row("members and weights") == ["xgboost 0.6, torch_mlp 0.4"]
    assert shown.row("rounds and epochs, chosen on validation rows") == ["xgboost 120, torch_mlp 9"]
    assert shown.row("threshold") == ["0.12346, by cost"]
    assert shown.row("largest difference to the frameworks' own probabilities") == ["3.0e-07"]


def test_drift_is_shown_for_every_feature_and_its_alarm_for_those_that_drifted(store: Store, shown: Page) -> None:
    assert shown.row("amount") == ["0.750", "", "1e-09", "10", "20.5", "0.00 %", "0.00 %"]
    assert shown.row("night") == ["0.001", "", "0.8", "", "", "1.00 %", "25.00 %"]
    html = page.render("smoke", loop(store), SECONDS, BESIDE)
    assert re.findall(r'class="alarm">([^<]+)', html) == ["amount", "25.00 %"], "of values, and of missing ones"
    assert re.findall(r'class="bar" style="width:([\d.]+)%', html) == ["100", "0.2"], "no bar is wider than its cell"


def test_rows_latency_and_verdict_are_said_in_words(shown: Page) -> None:
    for words in (
        "Verdict: drift. amount drifted. Look at amount.",
        "1,234,567 rows came in; 1,234,560 keep their contract, 7 are in quarantine. 15 features",
        "61,234 events and 480 late labels in 41 s: 1,486 events a second.",
        "p50 8.0 ms, p99 17.3 ms. Inside the replica: p50 0.31 ms, p99 0.92 ms.",
        "Average precision on the 49,000 judged: 0.702 (0.550 to 0.750);",
        "the evaluation promised 0.702 (0.620 to 0.780).",
    ):
        assert words in shown.text


def test_parity_is_said_with_its_control(shown: Page) -> None:
    assert "915,000 numbers of 61,000 decisions, 0 differ." in shown.text
    assert "changed in its last bit, was found." in shown.text


def test_the_leak_check_says_what_was_asked_and_that_nothing_was_found(shown: Page) -> None:
    assert "Nothing found in 15 columns and 61,234 rows of payments (480 positives)." in shown.text
    assert shown.row("Do rows occur twice?") == ["all 61,234 rows"]
    assert shown.row("Does it look ahead?") == ["not asked: the rows have no time"]
    assert "No check reads lists, structs or bytes: tags." in shown.text
    assert "evidence" not in shown.text


def test_every_leak_and_note_has_column_evidence_and_remedy(store: Store) -> None:
    leak = {"check": "looks ahead", "column": "next", "evidence": "equals the next label", "remedy": "Drop it."}
    found = Page(page.render("smoke", loop(store, leaks=LEAKS | {"leaks": [leak], "notes": [NOTE]}), SECONDS, BESIDE))
    assert "1 found in 15 columns" in found.text
    assert "; 1 to look at." in found.text
    assert found.row("next") == ["looks ahead", "equals the next label", "Drop it."]
    assert found.row("(rows)") == ["copied rows(a note)", "2 rows have an equal one", "Few."]


def test_the_time_of_each_step_is_shown(shown: Page) -> None:
    assert (shown.row("ingest"), shown.row("train")) == (["3.2 s"], ["40.0 s"])


def test_nothing_is_claimed_of_performance_before_labels_mature(store: Store) -> None:
    waiting = changed(FINDINGS, performance={"matured": 0, "waiting": 61234, "judged": 0})
    text = Page(page.render("smoke", loop(store, findings=waiting), SECONDS, BESIDE)).text
    assert "0 have matured labels, 61,234 wait." in text
    assert "judged" not in text


def test_without_decisions_no_latency_is_claimed(store: Store) -> None:
    text = Page(page.render("smoke", loop(store, findings=changed(FINDINGS, latency_ms={})), SECONDS, BESIDE)).text
    assert "p99 17.3 ms." in text
    assert "Inside the replica" not in text


def test_the_page_needs_nothing_but_itself(store: Store) -> None:
    html = page.render("smoke", loop(store), SECONDS, BESIDE)
    assert not re.findall(r"https?://|src=|@import|url\(", html)
    assert "script" not in Page(html).tags
    assert html.count("<svg") == html.count("</svg>") == 2


@pytest.mark.parametrize("place", ["name", "feature", "member", "reason", "step"])
def test_a_text_from_outside_stays_a_text(store: Store, place: str) -> None:
    evil = "<script>alert('&')</script>"
    named = [changed(FINDINGS["drift"][0], name=evil)]
    done = loop(
        store,
        card=changed(CARD, members=[evil, "b"]) if place == "member" else CARD,
        findings=changed(FINDINGS, drift=named) if place == "feature" else FINDINGS,
        **({"reasons": [evil]} if place == "reason" else {}),
    )
    html = page.render(evil if place == "name" else "smoke", done, {evil if place == "step" else "ingest": 1.0}, BESIDE)
    assert evil in Page(html).text
    assert "<script" not in html


def test_what_a_step_did_not_write_is_an_error_and_not_a_blank(store: Store) -> None:
    without = {name: value for name, value in CARD.items() if name != "threshold"}
    with pytest.raises(UndefinedError, match="threshold"):
        page.render("smoke", loop(store, card=without), SECONDS, BESIDE)


def test_an_artifact_that_was_altered_is_not_reported(store: Store) -> None:
    done = loop(store)
    (Path(done["monitor"].folder) / "findings.json").write_text("{}")
    with pytest.raises(StoreError, match="altered"):
        page.render("smoke", done, SECONDS, BESIDE)


def test_the_summary_is_a_dozen_lines_with_the_figures_that_matter(store: Store) -> None:
    text = page.summary(loop(store), SECONDS, "/somewhere/report.html")
    assert len(text.splitlines()) <= 12
    assert max(len(line) for line in text.splitlines()) <= 120
    for words in (
        "1,234,560 rows, 7 in quarantine",
        "models-1: average precision 0.702 (95 %: 0.650 to 0.750), ROC AUC 0.951",
        "61,234 events, 1,486 a second, p50 8.0 ms, p99 17.3 ms",
        "drift: amount drifted. Look at amount.",
        "43 s",
        "/somewhere/report.html",
    ):
        assert words in text
