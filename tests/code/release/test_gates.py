"""A candidate passes with clean evidence, and is refused with every reason at once."""

from typing import Any

import pytest

from workbench.config import RegisterConfig
from workbench.data.store import Store
from workbench.errors import GateRefused
from workbench.release import gates

FIGURES = {"roc_auc": 0.95, "average_precision": 0.7, "card_precision_at_100": None}
CFG = RegisterConfig(score_tolerance=1e-5, minimum_average_precision=0.6)


def reasons(cfg: RegisterConfig = CFG, differences: dict[str, float] | None = None, **rescored: Any) -> list[str]:
    """What is said against a candidate that differs from a clean one only in this."""
    with pytest.raises(GateRefused) as caught:
        gates.check(cfg, FIGURES, FIGURES | rescored, differences or {})
    return str(caught.value).split("\n  - ")[1:]


def test_a_candidate_with_clean_evidence_passes() -> None:
    gates.check(CFG, FIGURES, dict(FIGURES), {"xgboost": 0.0, "torch_mlp": 1e-5})


def test_a_candidate_at_the_minimum_passes_and_one_below_does_not() -> None:
    gates.check(RegisterConfig(minimum_average_precision=0.7), FIGURES, FIGURES, {})
    (only,) = reasons(RegisterConfig(minimum_average_precision=0.7001))
    assert only == "average precision 0.700 is below register.minimum_average_precision=0.7001."


def test_without_a_minimum_any_quality_passes() -> None:
    gates.check(RegisterConfig(minimum_average_precision=None), {"average_precision": 0.0}, {}, {})


@pytest.mark.parametrize(("name", "value"), [("roc_auc", 0.95 + 1e-15), ("average_precision", float("nan"))])
def test_a_bundle_that_scores_otherwise_by_a_hair_was_not_the_one_judged(name: str, value: float) -> None:
    (only,) = reasons(**{name: value})
    assert only.startswith(f"{name} of the bundle is {value}")


@pytest.mark.parametrize("difference", [1.1e-5, float("inf"), float("nan")])
def test_a_member_that_differs_from_its_framework_is_named(difference: float) -> None:
    (only,) = reasons(differences={"xgboost": 1e-6, "keras_mlp": difference})
    assert only.startswith("keras_mlp:")
    assert "register.score_tolerance=1e-05" in only


def test_every_reason_comes_at_once() -> None:
    strict = RegisterConfig(score_tolerance=1e-6, minimum_average_precision=0.9)
    found = reasons(strict, {"xgboost": 1e-3, "torch_mlp": 1e-3}, roc_auc=0.5, average_precision=0.5)
    assert [one.partition(" ")[0] for one in found] == [
        "roc_auc", "average_precision", "xgboost:", "torch_mlp:", "average",
    ]  # fmt: skip


def parity(store: Store, key: str, view: str, log: str = "payments-raw", **changed: Any) -> None:
    figures = {"rows": 5, "cells": 10, "differing": 0, "control": True, "missing": 0}
    store.stage("parity", key).commit({}, {}, {"log": log, "feature_view_version": view, **figures, **changed})


@pytest.mark.parametrize("fault", [{"differing": 3}, {"rows": 0}, {"control": False}, {"missing": 1}])
def test_a_view_whose_newest_report_does_not_hold_may_not_go_live(store: Store, fault: dict[str, Any]) -> None:
    parity(store, "b-first", "view")
    parity(store, "a-second", "view", **fault)
    with pytest.raises(GateRefused, match=r"feature view view served \d numbers.*raise features\.version"):
        gates.check_parity(store, "payments-raw", "view")
    gates.check_parity(store, "payments-raw", "another")
    parity(store, "c-third", "view")
    gates.check_parity(store, "payments-raw", "view")


def test_another_applications_or_data_sets_report_neither_bans_nor_clears_a_view(store: Store) -> None:
    parity(store, "first", "view", differing=3)
    parity(store, "second", "view", log="smoke-raw")
    gates.check_parity(store, "smoke-raw", "view")
    with pytest.raises(GateRefused):
        gates.check_parity(store, "payments-raw", "view")
