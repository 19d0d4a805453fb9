"""Rows that nothing can be learnt from are refused with all of their faults; features that tell nothing are named."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from workbench.config import ScalingConfig, TrainConfig
from workbench.errors import InputError
from workbench.families import XGBoostConfig
from workbench.networks import TorchMLPConfig
from workbench.training.checks import check, check_shares
from workbench.training.gather import Column, Gathered
from workbench.unsupervised import IsolationForestConfig

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


SHOPS = TrainConfig(families=["torch_mlp", "xgboost"], torch_mlp=TorchMLPConfig(embeddings=["shop"]))


@pytest.mark.parametrize("shop", [Column(0, 0, 0.0, 2.0**24), Column(0, 0, -2.0e7, 5.0)])
def test_a_category_of_which_float32_makes_one_value_of_several_has_no_embedding(shop: Column) -> None:
    said = refused({"select": fold(shop=shop), "test": fold(shop=GOOD), "select-scored": fold(shop=shop)}, SHOPS)
    assert said.count("\n  - ") == 1
    assert "select, select-scored: feature shop of train.torch_mlp.embeddings reaches " in said
    assert "beyond 16,777,215 a float32 makes one value of several. Declare its column as type string" in said
    check({"select": fold(shop=shop)}, TREES)


def test_smaller_codes_have_embeddings() -> None:
    check({"select": fold(shop=Column(0, 0, -(2.0**24) + 1, 2.0**24 - 1))}, SHOPS)


def test_codes_are_refused_by_the_values_that_training_reads() -> None:
    """They are float32 already, and the first that cannot be told apart is read as the last that can."""
    read = Column.of(pa.chunked_array([pa.array([1, 2**24 + 1])]).cast(pa.float32(), safe=False))
    assert "reaches 16,777,216" in refused({"select": fold(shop=read)}, SHOPS)


def test_a_share_that_leaves_no_negative_is_refused_beside_too_few_rows() -> None:
    rows = {"select": fold(1), "test": Gathered([], 3, 2), "last": fold()}
    with pytest.raises(InputError, match="too few rows for xgboost") as caught:
        check_shares("xgboost", XGBoostConfig(negative_share=0.01), rows, ScalingConfig(workers=8))
    assert str(caught.value).split("\n  - ")[1:] == [
        "test holds 3 rows to train on for scaling.workers=8. Use at most 3 workers, or widen data.split.",
        "select keeps none of its negatives with train.xgboost.negative_share=0.01, and training needs both classes."
        " Use a greater share, or widen data.split.",
    ]
    check_shares("isolation_forest", IsolationForestConfig(), {"select": fold(1)}, ScalingConfig(workers=8))


def test_a_column_is_described_by_its_finite_values_and_counts_the_others() -> None:
    values = pa.chunked_array([pa.array([1.0, None, np.nan, np.inf], pa.float32()), pa.array([-3.0], pa.float32())])
    assert Column.of(values) == Column(2, 1, -3.0, 1.0)
    assert Column.of(values).with_(Column(1, 0, -9.0, 0.0)) == Column(3, 1, -9.0, 1.0)
