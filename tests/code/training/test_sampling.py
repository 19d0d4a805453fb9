"""Thinned rows keep every positive and the configured share of the negatives, whatever parts hold them."""

import numpy as np
import pyarrow as pa
import pytest
import ray

from workbench.training.gather import Gathered
from workbench.training.sampling import thinned

pytestmark = pytest.mark.usefixtures("ray_session")
TABLE = pa.table({"a": np.arange(5000), "label": (np.arange(5000) % 10 == 0).astype(np.float32)})


def fold(*bounds: int) -> Gathered:
    parts = [TABLE.slice(start, end - start) for start, end in zip((0, *bounds), (*bounds, 5000), strict=True)]
    return Gathered([ray.put(part) for part in parts], 5000, 2)


def rows(one: Gathered) -> pa.Table:
    return pa.concat_tables(ray.get(one.parts))


def test_all_positives_stay_and_about_the_share_of_the_negatives() -> None:
    found = thinned(fold(), 0.2)
    label = rows(found)["label"].to_numpy()
    assert found.rows == len(label)
    assert (label == 1).sum() == 500
    assert (label == 0).sum() == pytest.approx(0.2 * 4500, abs=4 * np.sqrt(4500 * 0.2 * 0.8))


def test_parts_change_no_choice() -> None:
    assert rows(thinned(fold(), 0.3))["a"].to_pylist() == rows(thinned(fold(17, 4000), 0.3))["a"].to_pylist()


def test_of_a_fold_that_keeps_no_negative_one_class_is_left() -> None:
    found = thinned(fold(17, 4000), 1e-9)
    assert (found.rows, found.classes) == (500, 1)
    assert rows(found)["label"].unique().to_pylist() == [1]
    assert thinned(fold(), 0.2).classes == 2


def test_a_share_of_one_leaves_the_rows_alone() -> None:
    one = fold()
    assert thinned(one, 1.0) is one
