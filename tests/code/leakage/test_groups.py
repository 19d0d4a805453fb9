"""A statistic of a group's labels is named by its values where the groups are too few for a test."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from tests.code.leakage.planted import audited
from workbench.leakage import groups

RANDOM = np.random.default_rng(0)
SHOP, ROWS = np.repeat(np.arange(40), 30), 1200
LABEL = (RANDOM.random(ROWS) < RANDOM.beta(2, 5, 40)[SHOP]).astype(np.int64)
POSITIVES = np.bincount(SHOP, LABEL)[SHOP]
EVIDENCE = np.log((POSITIVES + 0.5) / (30 - POSITIVES + 0.5)) - np.log(LABEL.mean() / (1 - LABEL.mean()))


def named(value_N: np.ndarray) -> list[str]:
    table = audited(pd.DataFrame({"shop": SHOP, "value": value_N}), LABEL)
    return [one.evidence for one in groups.statistics(table, 0.001) if one.column == "value"]


@pytest.mark.parametrize(
    ("value_N", "words"),
    [
        (POSITIVES / 30, "equals the positive share"),
        (POSITIVES, "equals the number of positives"),
        (7 - POSITIVES / 3, "is a straight line of the positive share"),
        (EVIDENCE, "is a straight line of the log-odds"),
    ],
)
def test_a_statistic_is_named_in_words(value_N: np.ndarray, words: str) -> None:
    assert named(value_N) == [f"by shop: {words} in 40 groups"]


@pytest.mark.parametrize("of", [lambda shop: shop % 7 * 1.5, lambda shop: RANDOM.normal(size=40)[shop]])
def test_what_is_merely_constant_in_a_group_is_none(of: Callable[[np.ndarray], np.ndarray]) -> None:
    assert named(of(SHOP)) == []
