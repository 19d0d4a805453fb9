"""A column whose power ends with the training part, the period or the entity is named by the declared split."""

import numpy as np
import pandas as pd
import pytest

from tests.code.leakage.planted import audited
from workbench.leakage import collapse

ROWS = 12_000


def remembering(of: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Numbers that name a period (or an entity), in which all rows are much alike; and an honest one."""
    random = np.random.default_rng(0)
    names = np.arange(ROWS) // 60 if of == "period" else random.integers(0, 200, ROWS)
    risk = random.choice([0.02, 0.6], 200)[names]
    label_N = (random.random(ROWS) < risk).astype(np.int64)
    code = random.permutation(200)[names]
    return pd.DataFrame({"code": code, "honest": random.normal(label_N), "who": names}), label_N


@pytest.mark.parametrize(("split", "leak"), [("random", True), ("time", False)])
def test_a_name_of_the_period_is_a_leak_where_rows_are_split_at_random(split: str, leak: bool) -> None:
    frame, label_N = remembering("period")
    table = audited(frame.drop(columns="who").assign(time=np.arange(ROWS)), label_N, split=split)
    assert [(one.column, one.leak) for one in collapse.periods(table, 0.001)] == [("code", leak)]


@pytest.mark.parametrize(("split", "leak"), [("random", True), ("entity", False)])
def test_a_name_of_the_entity_is_a_leak_where_rows_are_split_at_random(split: str, leak: bool) -> None:
    frame, label_N = remembering("entity")
    found = list(collapse.entities(audited(frame, label_N, ("who",), split=split), 0.001))
    assert [(one.column, one.leak) for one in found] == [("code", leak)]


def test_what_carries_over_is_not_named() -> None:
    frame, label_N = remembering("period")
    table = audited(
        frame[["honest"]].assign(time=np.arange(ROWS), who=np.arange(ROWS) // 60), label_N, ("who",), split="random"
    )
    assert [*collapse.periods(table, 0.5), *collapse.entities(table, 0.5)] == []


@pytest.mark.parametrize(("split", "named"), [("random", ["fitted"]), ("time", [])])
def test_power_in_the_training_part_only_is_a_leak_unless_time_lies_between(split: str, named: list[str]) -> None:
    random = np.random.default_rng(0)
    train, label_N = random.random(ROWS) < 0.7, random.integers(0, 2, ROWS)
    fitted = random.normal(np.where(train, label_N, 0.5))
    frame = pd.DataFrame({"fitted": fitted, "honest": random.normal(label_N), "split": np.where(train, "a", "b")})
    assert [one.column for one in collapse.parts(audited(frame, label_N, split=split), 0.001)] == named


def of_customers(seed: int, power: float) -> tuple[pd.DataFrame, np.ndarray]:
    """Customers, whole ones in either part, with an age each; a column that knows the labels of the training part."""
    random = np.random.default_rng(seed)
    card = random.integers(0, 500, 6000)
    train, risk = random.random(500) < 0.7, random.normal(-2, 1.5, 500)
    label_N = (random.random(6000) < 1 / (1 + np.exp(-risk[card]))).astype(np.int64)
    frame = pd.DataFrame({"card": card, "age": random.integers(18, 80, 500)[card]})
    frame["fitted"] = random.normal(power * label_N * train[card])
    return frame.assign(split=np.where(train[card], "train", "test")), label_N


@pytest.mark.parametrize(("power", "named"), [(0.0, set()), (1.0, {"fitted"})])
def test_what_whole_customers_have_in_common_is_one_chance_and_not_many(power: float, named: set[str]) -> None:
    """With rows taken as independent, 5 of these 40 clean tables are refused: a customer has one age in all rows."""
    tables = [audited(*of_customers(seed, power), ("card",), split="entity") for seed in range(40)]
    found = [{one.column for one in collapse.parts(table, 0.0014)} for table in tables]
    assert found == [named] * 40


@pytest.mark.parametrize(("power", "named"), [(0.0, set()), (1.0, {"fitted"})])
def test_the_entity_that_was_dealt_is_the_chance_whatever_others_there_are(power: float, named: set[str]) -> None:
    """Two shops lie on both sides. Were they taken as dealt too, so few would hide what was fitted."""
    found = []
    for seed in range(40):
        frame, label_N = of_customers(seed, power)
        shop = np.random.default_rng(seed + 1000).integers(0, 2, len(frame))
        table = audited(frame.assign(shop=shop), label_N, ("card", "shop"), split="entity", group="card")
        found.append({one.column for one in collapse.parts(table, 0.0014)})
    assert found == [named] * 40


@pytest.mark.parametrize("power", [0.0, 1.0, 3.0])
def test_the_variance_of_an_area_is_never_above_its_bound(power: float) -> None:
    random = np.random.default_rng(0)
    label_N = np.repeat([0, 1], [200, 8])
    draws = [collapse.area(random.normal(power * label_N), label_N) for _ in range(400)]
    areas, bounds = np.array(draws).T
    assert areas.var() < bounds.mean() == 0.25 / 8
