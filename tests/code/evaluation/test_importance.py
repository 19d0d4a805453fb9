"""What a model does not look at has no importance; what it looks at more has more."""

import numpy as np
import pytest

from tests.code.models.linear import member
from workbench.evaluation import importance
from workbench.models import graph
from workbench.models.scorer import Scorer


@pytest.fixture(scope="module")
def falls() -> list[float]:
    random = np.random.default_rng(0)
    x_NF = random.normal(size=(4000, 4))
    x_NF[:, 3] = 1.0
    label_N = (x_NF @ [3.0, 1.0, 0.0, 0.0] + random.logistic(size=4000) > 3).astype(np.int64)
    return importance.permuted(Scorer(graph.merge({"a": member([3.0, 1.0, 0.0, 5.0])}, [1.0], 0.0, 4)), x_NF, label_N)


def test_importance_is_in_the_order_of_what_rests_on_each(falls: list[float]) -> None:
    assert falls[0] > 3 * falls[1] > 0.05


def test_what_is_not_looked_at_and_what_is_constant_have_none(falls: list[float]) -> None:
    assert falls[2:] == [0.0, 0.0]


def test_few_positives_are_all_asked_and_the_rest_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importance, "SCORED", 400)
    asked = list[int]()

    class Counting(Scorer):
        def score(self, features_NF):  # type: ignore[no-untyped-def]
            asked.append(len(features_NF))
            return super().score(features_NF)

    x_NF, label_N = np.random.default_rng(1).normal(size=(5000, 2)), np.zeros(5000, np.int64)
    label_N[:7] = 1
    x_NF[:7] += 100
    falls = importance.permuted(Counting(graph.merge({"a": member([1.0, 1.0])}, [1.0], 0.0, 2)), x_NF, label_N)
    assert set(asked) == {200}
    assert min(falls) > 0.2, "all seven are found, until a feature is dealt out anew"
