"""A bag of several families' seeds, calibrated, with a threshold by cost: what is judged is what is shipped."""

import dataclasses
import json

import numpy as np
import pyarrow.compute as pc
import pytest

from tests.workloads.samples import benchmark_config
from workbench.config import Config
from workbench.data import snapshots
from workbench.data.store import Artifact, Store
from workbench.evaluation import protocol, reliability
from workbench.governance.keys import Keys
from workbench.models import bundle
from workbench.models.calibration import of_json
from workloads import evaluate, featurize, register, train

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_session")]


@pytest.fixture(scope="module")
def cfg(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Trees that chance matters to and two baselines, two seeds each."""
    cfg = benchmark_config(tmp_path_factory.mktemp("mixture") / "store", days=60, customers=150)
    cfg.data.split.select_start, cfg.data.split.train_start = "2018-04-20", "2018-05-05"
    cfg.train.families, cfg.train.seeds = ["xgboost", "random_forest", "logistic_regression"], [3, 4]
    cfg.train.xgboost.rounds, cfg.train.xgboost.subsample, cfg.train.random_forest.trees = 20, 0.8, 10
    cfg.train.ensemble.method, cfg.train.ensemble.noise, cfg.train.ensemble.bagged = "stacked", None, True
    cfg.train.calibration.method = "isotonic"
    threshold = cfg.register.threshold
    threshold.rule, threshold.cost_false_positive_minor, threshold.amount = "cost", 300, "amount_minor"
    cfg.register.score_tolerance = 1e-4
    cfg.tracker.mode = "disabled"
    return cfg


@pytest.fixture(scope="module")
def version(cfg: Config) -> Artifact:
    return register.run(cfg)


def test_the_bag_is_judged_as_one_model_and_shipped_with_all_its_files(cfg: Config, version: Artifact) -> None:
    rows = evaluate.run(cfg).read_json("folds.json")
    assert {row["seed"] for row in rows} == {"all"}
    weights = train.run(cfg).manifest["weights"]
    fits = {"xgboost": 2, "random_forest": 2, "logistic_regression": 1}
    shipped = [name for name in version.manifest["blobs"] if name.startswith("members/")]
    for family, count in fits.items():
        assert sum(name.startswith(f"members/{family}") for name in shipped) == (count if weights[family] else 0)


def test_the_shipped_graph_gives_the_judged_log_odds_and_the_calibrated_score(cfg: Config, version: Artifact) -> None:
    found = bundle.open_bundle(version, Keys(cfg.keys.folder).verifying())
    scored = snapshots.read(evaluate.run(cfg)).sort_by(cfg.data.id)
    ids = scored[cfg.data.id].combine_chunks()
    rows = snapshots.read(featurize.run(cfg), rows=pc.field(cfg.data.id).isin(ids)).sort_by(cfg.data.id)
    again = found.scorer.score(np.stack([rows[name].to_numpy() for name in found.feature_set.names], axis=1))
    np.testing.assert_allclose(again.logit_N, scored["logit_ensemble"].to_numpy(), atol=1e-5)
    curve = of_json(train.run(cfg).manifest["calibration"])
    assert curve is not None
    np.testing.assert_allclose(again.score_N, curve.probability(again.logit_N), atol=1e-5)
    told = evaluate.run(cfg).read_json("calibration.json")["ensemble, calibrated"]
    assert told == pytest.approx(reliability.figures(scored["label"].to_numpy(), again.score_N), rel=1e-3)
    assert evaluate.run(cfg).read_bytes("reliability.svg").startswith(b"<?xml")


def test_the_card_says_what_the_threshold_costs_on_the_validation_rows(cfg: Config, version: Artifact) -> None:
    card = version.read_json("card.json")
    decision, run = card["decision"], train.run(cfg)
    entry = next(one for one in run.files if one.name.startswith("validation-"))
    rows = snapshots.read_file(run, entry)
    weights = run.manifest["weights"]
    logit = sum(weight * rows[family].to_numpy() for family, weight in weights.items())
    flagged = of_json(card["calibration"]).probability(logit) >= card["threshold"]  # type: ignore[union-attr]
    bad = rows["label"].to_numpy() == 1
    amounts = snapshots.read(
        Store(cfg.storage.root).get("validated", featurize.run(cfg).manifest["parents"]["validated"])
    )
    paid = dict(zip(amounts[cfg.data.id].to_pylist(), amounts["amount_minor"].to_pylist(), strict=True))
    lost = sum(paid[one] for one in rows["id"].filter(pc.invert(np.asarray(flagged) | ~bad)).to_pylist())
    days = len({time.date() for time in rows["time"].to_pylist()})
    assert decision["rule"] == "cost"
    assert decision["flags_per_day"] == pytest.approx(flagged.sum() / days)
    assert decision["recall"] == pytest.approx((flagged & bad).sum() / bad.sum())
    assert decision["cost_minor_per_day"] == pytest.approx((lost + 300 * (flagged & ~bad).sum()) / days)
    assert card["threshold"] == decision["threshold"] == json.loads(version.read_bytes("bundle.json"))["threshold"]


def test_another_mixture_of_the_same_fits_is_another_run_that_fits_nothing(cfg: Config, version: Artifact) -> None:
    mixed = dataclasses.replace(cfg.train.ensemble, method="greedy")
    other = dataclasses.replace(cfg, train=dataclasses.replace(cfg.train, ensemble=mixed))
    assert train.key(other) != train.key(cfg)
    assert train.fits_key(other) == train.fits_key(cfg)
    name = f"xgboost/{protocol.TEST}-seed3.native"
    assert train.run(other).read_bytes(name) == train.run(cfg).read_bytes(name)
