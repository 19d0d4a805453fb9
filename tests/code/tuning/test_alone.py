"""A trial's fits are what a worker group's are: members, and log-odds of the rows as they are."""

import dataclasses
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import ray

from tests.code.tuning import samples
from workbench.models.composition import Member
from workbench.models.correction import Correction
from workbench.training.fits import Fitted
from workbench.training.gather import Gathered
from workbench.tuning import alone, trial


def learnt(family: str, fitted: Fitted, scored: Gathered) -> np.ndarray:
    """What the family's own framework says of the rows, of weighed or sampled ones."""
    table = pa.concat_tables(ray.get(scored.parts)).select(samples.NAMES)
    x_NF = np.stack([column.to_numpy() for column in table.columns], axis=1).astype(np.float32)
    module = importlib.import_module(f"workbench.models.{family}")
    return np.asarray(module.logits(Member.from_bytes(fitted.model).model, x_NF))


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")  # PyTorch's, of an encoding out of Ray
@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize(
    ("family", "rare"),
    [
        ("xgboost", {"positive_weight": 20.0}),
        ("lightgbm", {"negative_share": 0.3}),
        ("torch_mlp", {"loss": "focal", "positive_weight": 20.0}),
    ],
)
def test_log_odds_of_a_trial_that_weighs_or_samples_are_those_of_the_rows_as_they_are(
    tmp_path: Path, family: str, rare: dict[str, Any]
) -> None:
    objectives = ["average_precision", *(["latency_us"] if family == "xgboost" else [])]
    shared = samples.shared(samples.config(tmp_path, objectives=objectives))
    hyper = dataclasses.replace(getattr(shared.cfg.train, family), **rare)
    setattr(shared.cfg.train, family, hyper)
    values = {"family": family}
    plan = trial.plan(shared.cfg, values, shared.folds)
    fits = alone.fit(family, hyper, plan, shared.rows, lambda _: True)
    before = {name: one.logits_SN[-1] for name, one in fits.items()}
    record = trial._record("one", values, shared, fits, 10, 0.0)
    assert alone.rescored(family, hyper, fits, shared.rows) == record.scores["average_precision"], "a gap of exactly 0"
    for one in plan:
        kept_N = fits[one.name].logits_SN[-1]
        np.testing.assert_allclose(kept_N, before[one.name], atol=1e-4)
        own_N = learnt(family, fits[one.name], shared.rows[f"{one.fold}-scored"])
        np.testing.assert_allclose(kept_N, Correction.of(hyper).applied(own_N), atol=1e-4)
        assert np.abs(kept_N - own_N).min() > 0.1
