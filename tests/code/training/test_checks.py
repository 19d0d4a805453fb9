"""Rows that nothing can be learnt from are refused with all of their faults; features that tell nothing are named."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from workbench.config import TrainConfig
from workbench.errors import InputError
from workbench.training.checks import check
from workbench.training.gather import Column, Gathered

GOOD = Column(0, 0, 0.0, 9.0)
TREES, FOREST = TrainConfig(families=["xgboost"]), TrainConfig(families=["isolation_forest"])


def fold(classes: int = 2, **columns: Column) -> Gathered:
    return Gathered([], 100, classes, {"amount": GOOD, **columns})


def refused(rows: dict[str, Gathered], cfg: TrainConfig = TREES) -> str:
    with pytest.raises(InputError) as caught:
        check(rows, cfg)
    return str(caught.value)


def test_good_rows_pass() -> None:
    check({"select": fold(), "select-scored": fold()}, TREES)


def test_all_faults_of_all_folds_are_told_at_once() -> None:
    bad = fold(1, spent=Column(100, 0, np.inf, -np.inf), rate=Column(0, 3, 0.0, 1.0), age=Column(4, 0, 0.0, 1.0))
    said = refused({"select": bad, "test": fold(0)})
    assert said.count("\n  - ") == 5
    assert "select holds 100 labelled rows of 1 class(es); training needs both. Widen data.split" in said
    assert "select: feature spent has no value in any row of 100. Say `empty` in its definition" in said
    assert "select: feature age has no value in 4 rows of 100." in said
    assert "select: feature rate is infinite, or beyond a float32, in 3 rows of 100. Correct its source" in said
    assert "test holds 100 labelled rows of 0 class(es)" in said


def test_rows_of_one_class_train_what_never_sees_the_label_but_cannot_judge_it() -> None:
    check({"select": fold(1), "select-scored": fold()}, FOREST)
    assert "select-scored holds 100 labelled rows of 1 class" in refused({"select-scored": fold(1)}, FOREST)


def test_a_constant_feature_is_named_and_kept(capsys: pytest.CaptureFixture[str]) -> None:
    check({"select": fold(flag=Column(0, 0, 1.0, 1.0)), "test": fold(flag=GOOD)}, TREES)
    assert "feature flag has one value in select: it tells nothing there" in capsys.readouterr().err


def test_rows_of_which_no_feature_varies_are_refused() -> None:
    constant = dataclasses.replace(fold(), columns={"amount": Column(0, 0, 2.0, 2.0)})
    assert "select: no feature has more than one value, so nothing can be learnt" in refused({"select": constant})


def test_a_column_is_described_by_its_finite_values_and_counts_the_others() -> None:
    values = pa.chunked_array([pa.array([1.0, None, np.nan, np.inf], pa.float32()), pa.array([-3.0], pa.float32())])
    assert Column.of(values) == Column(2, 1, -3.0, 1.0)
    assert Column.of(values).with_(Column(1, 0, -9.0, 0.0)) == Column(3, 1, -9.0, 1.0)
