"""A family that sees some of the features may see the score of a model that sees others."""

import numpy as np
import pyarrow as pa

from tests.code.models.linear import member
from workbench.models import graph, logistic_regression, native
from workbench.models.composition import NAME, Anomaly, Member
from workbench.models.correction import Correction
from workbench.models.scorer import Scorer
from workbench.training import workers
from workbench.training.anomaly import seen

X = np.random.default_rng(0).integers(-8, 8, (200, 3)).astype(np.float32)
TABLE = pa.table({"amount": X[:, 0], "amount_1_back": X[:, 1], "count": X[:, 2], "label": X[:, 0] > 0})
ANOMALY = Anomaly("isolation_forest", b"its own file", member([0.5, -1.0, 2.0], 0.25))
NAMES = ["amount", "count", NAME]
SCORE_N = X @ np.array([0.5, -1.0, 2.0]) + 0.25


def test_the_inputs_are_columns_by_name_and_the_score_of_all_of_them() -> None:
    np.testing.assert_array_equal(seen(TABLE, ["count", "amount"], None), X[:, [2, 0]])
    np.testing.assert_array_equal(seen(TABLE, NAMES, ANOMALY), np.column_stack([X[:, 0], X[:, 2], SCORE_N]))


def test_the_graph_of_such_a_family_gives_what_its_native_file_gives() -> None:
    model = logistic_regression.to_bytes(np.zeros(3), np.ones(3), np.array([1.0, -2.0, 0.5]), 0.25)
    one = Member(model, Correction(-1.5), ANOMALY)
    config = {"names": NAMES, "places": [0, 2, 3], "width": 4}
    content = one.to_onnx(workers._selecting(logistic_regression.to_onnx, config), 3)
    ours = Scorer(graph.merge({"one": content}, [1.0], 0.0, 3)).score(X).logit_N
    np.testing.assert_allclose(ours, X[:, 0] - 2 * X[:, 2] + 0.5 * SCORE_N + 0.25 - 1.5, atol=1e-4)
    theirs = native._logits("logistic_regression", one.to_bytes(), X, [0, 2])
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
