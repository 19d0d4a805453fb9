"""From validated rows to a signed version: each step finds its work done, and nothing passes that was not re-scored."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from tests.workloads.samples import benchmark_config
from workbench.config import Config, EvaluateConfig
from workbench.data import snapshots
from workbench.data.store import Store
from workbench.errors import ConfigError, GateRefused, InputError, StoreError
from workbench.evaluation import metrics, protocol, published
from workbench.features.definitions import FeatureSet
from workbench.governance.keys import Keys
from workbench.models.bundle import open_bundle
from workloads import evaluate, featurize, register, train, validate

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_session")]


@pytest.fixture(scope="module")
def cfg(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Two months of few customers, and trees alone: one worker group."""
    cfg = benchmark_config(tmp_path_factory.mktemp("build") / "store", days=60, customers=150)
    cfg.data.split.select_start, cfg.data.split.train_start = "2018-04-20", "2018-05-05"
    cfg.train.families, cfg.train.xgboost.rounds, cfg.tracker.mode = ["xgboost"], 20, "disabled"
    cfg.train.seeds = [7]
    return cfg


def changed(cfg: Config, **section: object) -> Config:
    return dataclasses.replace(cfg, **section)  # type: ignore[arg-type]


class TestFeaturize:
    def test_every_validated_row_has_its_features_and_its_newest_label(self, cfg: Config) -> None:
        features, rows = featurize.run(cfg), validate.run(cfg)
        table = snapshots.read(features)
        assert sorted(table[cfg.data.id].to_pylist()) == sorted(snapshots.read(rows)[cfg.data.id].to_pylist())
        assert set(FeatureSet.of(cfg.features, cfg.data).names) <= set(table.column_names)
        assert set(table["label"].to_pylist()) == {0, 1}

    def test_a_changed_definition_has_another_key(self, cfg: Config) -> None:
        views = [view for view in cfg.features.views if view.name != "terminal_risk"]
        other = changed(cfg, features=dataclasses.replace(cfg.features, views=views))
        assert featurize.key(other) != featurize.key(cfg)
        assert validate.key(other) == validate.key(cfg)


class TestTrain:
    def test_the_run_holds_models_history_and_what_was_chosen(self, cfg: Config) -> None:
        run = train.run(cfg)
        assert run.manifest["weights"] == {"xgboost": 1.0}
        assert 0 < run.manifest["steps"]["xgboost"] <= 20
        assert {"xgboost/test-seed7.native", "xgboost/test-seed7.onnx"} <= set(run.manifest["blobs"])
        history = snapshots.read_file(run, next(file for file in run.files if file.name.startswith("history")))
        steps = history.filter(pc.field("metric") == "average_precision")["step"].to_pylist()
        assert steps == sorted(set(steps)), "every step once"

    def test_a_setting_that_does_not_touch_the_model_leaves_its_key(self, cfg: Config) -> None:
        quiet = changed(cfg, serve=dataclasses.replace(cfg.serve, port=9999), name="other")
        assert train.key(quiet) == train.key(cfg)
        deeper = changed(
            cfg, train=dataclasses.replace(cfg.train, xgboost=dataclasses.replace(cfg.train.xgboost, max_depth=2))
        )
        assert train.key(deeper) != train.key(cfg)

    def test_a_label_with_one_class_is_refused(self, cfg: Config) -> None:
        split = dataclasses.replace(cfg.data.split, train_start="2019-01-01")
        empty = changed(cfg, data=dataclasses.replace(cfg.data, split=split))
        with pytest.raises(InputError, match=r"test holds 0 labelled rows of 0 class"):
            train.run(empty)
        assert Store(cfg.storage.root).find("runs", train.key(empty)) is None


class TestEvaluate:
    def test_no_scored_customer_was_known_to_be_defrauded(self, cfg: Config) -> None:
        scored = snapshots.read(evaluate.run(cfg))
        day = protocol.between(cfg.data.event_time, pc.min(scored["event_time"]).as_py().date(), 1)
        trained_on = snapshots.read(featurize.run(cfg), rows=protocol.of(cfg, featurize.run(cfg)).test[0].train)
        known = set(trained_on.filter(pc.field("label") == 1)["customer_id"].to_pylist())
        assert known, "the rule has something to exclude"
        assert not known & set(scored.filter(day)["customer_id"].to_pylist())

    def test_every_figure_names_the_seed_that_it_is_of(self, cfg: Config) -> None:
        artifact = evaluate.run(cfg)
        rows = artifact.read_json("folds.json")
        assert [(row["model"], row["seed"]) for row in rows] == [("xgboost", 7), ("ensemble", 7)]
        assert evaluate.first_seed(artifact) == artifact.figures["ensemble"]

    def test_the_figures_are_those_of_the_scored_rows(self, cfg: Config) -> None:
        artifact = evaluate.run(cfg)
        rows = snapshots.read(artifact)
        found = metrics.average_precision(rows["label"].to_numpy(), rows["logit_ensemble"].to_numpy())
        assert artifact.figures["ensemble"]["average_precision"] == pytest.approx(found)
        low, high = artifact.read_json("intervals.json")["ensemble"]["average_precision"]
        assert low <= found <= high
        assert artifact.read_bytes("curves.svg").startswith(b"<?xml")

    def test_what_stands_beside_the_figures_names_no_other_model(self, cfg: Config) -> None:
        compared = changed(cfg, evaluate=dataclasses.replace(cfg.evaluate, published="chapter_3_test"))
        assert evaluate.key(compared) == evaluate.key(changed(cfg, evaluate=EvaluateConfig(published=None)))
        assert "published random_forest" not in evaluate.table(evaluate.run(cfg), {})
        theirs = published.table("chapter_3_test")
        assert "published random_forest             0.867    0.658    0.287" in evaluate.table(
            evaluate.run(cfg), theirs
        )

    def test_more_resamples_are_another_evaluation_because_a_model_holds_its_intervals(self, cfg: Config) -> None:
        more = changed(cfg, evaluate=dataclasses.replace(cfg.evaluate, bootstrap_samples=2000))
        assert evaluate.key(more) != evaluate.key(cfg)


class TestRegister:
    def test_the_version_is_signed_and_gives_the_evaluations_figure(self, cfg: Config) -> None:
        version = register.run(cfg)
        bundle = open_bundle(version, Keys(cfg.keys.folder).verifying())
        scored = snapshots.read(evaluate.run(cfg)).sort_by(cfg.data.id)
        names = list(bundle.feature_set.names)
        ids = scored[cfg.data.id].combine_chunks()
        rows = snapshots.read(featurize.run(cfg), rows=pc.field(cfg.data.id).isin(ids)).sort_by(cfg.data.id)
        again = bundle.scorer.score(np.stack([rows[name].to_numpy() for name in names], axis=1))
        np.testing.assert_allclose(again.logit_N, scored["logit_ensemble"].to_numpy(), atol=1e-5)
        assert bundle.card["test"] == evaluate.run(cfg).figures
        assert bundle.card["largest_difference_to_framework"]["xgboost"] < 1e-5

    def test_a_gate_that_says_no_leaves_no_version(self, cfg: Config) -> None:
        strict = changed(cfg, register=dataclasses.replace(cfg.register, minimum_average_precision=0.9999))
        with pytest.raises(GateRefused, match="minimum_average_precision"):
            register.run(strict)
        assert Store(cfg.storage.root).find("models", register.key(strict)) is None

    def test_many_models_are_not_one_version(self, cfg: Config) -> None:
        many = changed(cfg, evaluate=dataclasses.replace(cfg.evaluate, protocol="prequential"))
        with pytest.raises(ConfigError, match="prequential"):
            register.run(many)

    def test_a_version_that_was_touched_is_refused_before_it_is_parsed(self, cfg: Config) -> None:
        version = register.run(cfg)
        card = Path(version.uri) / "card.json"
        content = card.read_bytes()
        try:
            card.write_bytes(content.replace(b'"experiment"', b'"Experiment"', 1))
            with pytest.raises(StoreError, match=r"card\.json differs from what was signed"):
                open_bundle(version, Keys(cfg.keys.folder).verifying())
        finally:
            card.write_bytes(content)
        assert json.loads(content)["experiment"] == cfg.name


def test_a_second_call_of_every_step_does_no_work(cfg: Config) -> None:
    first = register.run(cfg)
    for step in (featurize, train, evaluate, register):
        assert step.run(cfg).manifest["created"] <= first.manifest["created"]
