"""An evaluation leaves a card; runs stand side by side; shares of the rows give a curve; folds judge every row once."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.code.report.test_page import Page
from tests.workloads.samples import benchmark_config
from workbench.config import Config
from workbench.data import snapshots
from workbench.data.store import Artifact, Store
from workbench.errors import ConfigError, InputError
from workbench.evaluation import metrics, protocol
from workloads import compare, door, evaluate, featurize, learning_curve, register, train

pytestmark = pytest.mark.usefixtures("ray_session")


@pytest.fixture(scope="module")
def cfg(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Ten weeks of few customers, and the two families that fit in no time."""
    cfg = benchmark_config(
        tmp_path_factory.mktemp("judged") / "store", customers=300, terminals=400, days=75, radius=30
    )
    cfg.data.split.select_start, cfg.data.split.train_start = "2018-05-01", "2018-05-15"
    cfg.train.families = ["logistic_regression", "random_forest"]
    cfg.train.random_forest.trees, cfg.train.random_forest.max_depth = 15, 6
    cfg.evaluate.bootstrap_samples, cfg.evaluate.slices.samples, cfg.evaluate.slices.minimum = 60, 20, 5
    cfg.register.flagged_share = 0.05  # of one row in a hundred there is none here
    cfg.tracker.mode = "disabled"
    return cfg


@pytest.fixture(scope="module")
def evaluated(cfg: Config, ray_session: None) -> Artifact:
    return evaluate.run(cfg)


@pytest.fixture(scope="module")
def again(cfg: Config, evaluated: Artifact) -> Artifact:
    """Another evaluation of the same run."""
    return evaluate.run(changed(cfg, "evaluate.slices.hours", 8))


def changed(cfg: Config, key: str, value: object) -> Config:
    import copy

    other = copy.deepcopy(cfg)
    *path, name = key.split(".")
    where: object = other
    for part in path:
        where = getattr(where, part)
    setattr(where, name, value)
    return other


class TestTheCard:
    def test_holds_the_figures_of_the_rows_that_were_scored(self, evaluated: Artifact) -> None:
        about, rows = evaluated.read_json("card.json"), snapshots.read_file(evaluated, evaluated.files[0])
        label, card = rows["label"].to_numpy(), rows["customer_id"].to_numpy()
        time = rows["event_time"].cast("int64").to_numpy()
        for model, figures in about["figures"].items():
            assert figures == metrics.figures(label, rows[f"logit_{model}"].to_numpy(), time, card)
            for name, (low, high) in about["intervals"][model].items():
                assert low <= high, name
        (fold,) = about["protocol"]["folds"]
        assert (fold["rows"], fold["positives"]) == (len(label), label.sum())
        assert about["drawn"] == "customers"
        assert [one["first"] for one in about["paired"]] == ["logistic_regression", "random_forest"]

    def test_has_slices_of_every_kind_whose_counts_add_up(self, evaluated: Artifact) -> None:
        about = evaluated.read_json("card.json")
        rows = about["protocol"]["folds"][0]["rows"]
        for of in ("amount", "hour", "age"):
            assert sum(one["rows"] for one in about["slices"] if one["of"] == of) == rows
        scenarios = [one["positives"] for one in about["slices"] if one["of"] == "scenario"]
        assert sum(scenarios) == about["protocol"]["folds"][0]["positives"]

    def test_threshold_is_the_one_of_the_registration(self, evaluated: Artifact) -> None:
        told = evaluated.read_json("card.json")["operating"]["ensemble"]
        assert 0 < told["share"] < 0.25
        assert told["flagged"] == round(told["share"] * evaluated.rows)

    def test_is_a_page_that_needs_nothing_but_itself(self, evaluated: Artifact) -> None:
        html = evaluated.read_bytes("card.html").decode()
        assert not re.findall(r"https?://|src=|@import|url\(|<script", html)
        page = Page(html)
        assert f"{evaluated.figures['ensemble']['average_precision']:.3f}" in page.row("ensemble")
        for words in ("Slices", "Fraud scenario", "Costs", "The whole configuration", "Precision and recall"):
            assert words in page.text
        assert html.count("<svg") >= 7

    def test_is_made_once(self, cfg: Config, evaluated: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(evaluate, "_judgement", lambda *_: pytest.fail("it worked again"))
        assert evaluate.run(cfg).key == evaluated.key


@pytest.mark.slow
def test_a_version_has_the_figures_of_the_model_that_it_holds_and_not_of_other_seeds(cfg: Config) -> None:
    cfg = changed(cfg, "train.seeds", [0, 1])
    done, version = evaluate.run(cfg), register.run(cfg)
    rows = snapshots.read(done)  # with the log-odds of the first seed
    about = rows["label"].to_numpy(), rows["event_time"].cast("int64").to_numpy(), rows["customer_id"].to_numpy()
    for model in ("random_forest", "ensemble"):
        own = metrics.figures(about[0], rows[f"logit_{model}"].to_numpy(), *about[1:])
        assert done.figures[model] != own, "the evaluation's are means over both seeds"
        assert version.figures[model] == version.read_json("card.json")["test"][model] == own
    reference = version.read_json("reference.json")
    assert reference["figures"] == version.figures["ensemble"]
    low, high = reference["intervals"]["average_precision"]
    assert low <= reference["figures"]["average_precision"] <= high


def test_a_bag_has_the_figures_of_the_mean_of_its_seeds(store: Store) -> None:
    own = {"roc_auc": 0.9, "average_precision": 0.5, "card_precision_at_100": None}
    stage = store.stage("evaluations", "bag")
    stage.write_json("folds.json", [{"fold": "test", "seed": "all", "model": one, **own} for one in ("a", "ensemble")])
    assert evaluate.shipped(stage.commit({}, {}, {})) == {"a": own, "ensemble": own}


def test_a_block_without_rows_to_judge_ends_before_anything_is_trained(
    cfg: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "_train", lambda *_: pytest.fail("it was trained"))
    late = changed(cfg, "data.split.train_start", "2018-06-05")  # the data end with 2018-06-14
    with pytest.raises(InputError, match=r"test holds 0 labelled rows of 0 class\(es\) to judge on") as caught:
        evaluate.run(late)
    assert "data.split.train_start=2018-06-05 and data.split.score_days=7 chose them: use" in str(caught.value)


class TestSideBySide:
    def test_the_same_rows_give_the_same_figures_and_what_differs_is_named(
        self, cfg: Config, evaluated: Artifact, again: Artifact
    ) -> None:
        found = compare.run(asked(cfg, [evaluated.key, again.key], ["ensemble", "logistic_regression"]))
        about = found.read_json("compare.json")
        assert len(about["sides"]) == 4
        assert (about["rows"], about["left_out"]) == (evaluated.rows, 0)
        assert about["figures"][f"{evaluated.key[:8]} ensemble"] == pytest.approx(evaluated.figures["ensemble"])
        same = next(one for one in about["paired"] if one["second"] == f"{again.key[:8]} ensemble")
        assert same["figures"]["average_precision"]["interval"] == [0, 0]
        assert same["delong"]["p_value"] == 1
        assert about["config"] == {"evaluate.slices.hours": [4, 4, 8, 8]}
        page = Page(found.read_bytes("compare.html").decode())
        assert page.row("evaluate.slices.hours") == ["4", "4", "8", "8"]
        assert "cannot be told apart" in page.text

    def test_models_of_one_run_are_called_by_their_names(
        self, cfg: Config, evaluated: Artifact, tmp_path: Path
    ) -> None:
        run = evaluated.manifest["parents"]["run"]
        found = compare.run(asked(cfg, [run[:10]], ["ensemble", "random_forest"]))
        assert list(found.figures) == ["ensemble", "random_forest"]
        door.write_record(tmp_path / "out.json", door.record(found))
        figures = json.loads((tmp_path / "out.json").read_text())["figures"]
        assert set(figures["ensemble"]) == set(metrics.NAMES)

    @pytest.mark.parametrize(
        ("runs", "models", "words"),
        [
            ([], ["ensemble"], r"compare\.runs is empty"),
            (["nowhere"], ["ensemble"], "nowhere is no evaluation or run"),
            (["KEY"], ["ensemble"], "name fewer than two models"),
            (["KEY"], ["ensemble", "lstm"], "has no model lstm. It has: logistic_regression"),
            (["KEY", "KEY"], ["ensemble"], "names one evaluation twice"),
        ],
    )
    def test_what_cannot_be_compared_is_told(
        self, cfg: Config, evaluated: Artifact, runs: list[str], models: list[str], words: str
    ) -> None:
        with pytest.raises(ConfigError, match=words):
            compare.run(asked(cfg, [evaluated.key if one == "KEY" else one for one in runs], models))


def asked(cfg: Config, runs: list[str], models: list[str]) -> Config:
    return changed(changed(cfg, "compare.runs", runs), "compare.models", models)


@pytest.mark.slow
def test_growing_shares_give_a_curve_on_the_same_rows_and_look_ahead(cfg: Config, evaluated: Artifact) -> None:
    cfg = changed(cfg, "evaluate.learning_curve.shares", [0.25, 0.5, 1.0, 2.0])
    found = learning_curve.run(changed(cfg, "train.families", ["logistic_regression"]))
    about = found.read_json("learning.json")
    rows = [one["rows"] for one in about["shares"]]
    assert rows == sorted(rows)
    assert rows[3] > 1.5 * rows[2] > 2 * rows[1]
    assert [one["times"] for one in about["ahead"] if one["model"] == "ensemble"] == [2, 4]
    law = about["curves"]["ensemble"]["average_precision"]["law"]
    assert all(one["low"] <= one["high"] for one in law)
    assert about["verdict"].startswith("2 times the rows are expected")
    html = found.read_bytes("learning.html").decode()
    assert html.count("<svg") == 3
    assert Page(html).row("2")[0] == f"{rows[3]:,}"


@pytest.mark.slow
def test_every_row_of_a_dealt_data_set_is_judged_once_by_a_run_that_did_not_train_on_it(tmp_path: Path) -> None:
    words = ["experiment=credit", f"storage.root={tmp_path}/store", "tracker=disabled", "evaluate.protocol=kfold"]
    cfg = door.composed(
        [*words, "evaluate.folds=3", "train.families=[logistic_regression]", "evaluate.bootstrap_samples=50"]
    )
    done = evaluate.run(cfg)
    assert done.rows == 9857
    ids = snapshots.read(done, ["application_id"])["application_id"].to_numpy()
    assert len(np.unique(ids)) == 9857
    assert {name for name in done.manifest["parents"] if name.startswith("run")} == {"run 0", "run 1", "run 2"}
    assert done.figures["ensemble"]["roc_auc"] > 0.7
    features = featurize.run(cfg)
    for one in protocol.each(cfg):
        (fold,) = protocol.of(one, features).test
        trained = snapshots.read(features, ["application_id"], fold.train)["application_id"].to_numpy()
        scored = snapshots.read(features, ["application_id"], fold.score)["application_id"].to_numpy()
        assert not set(trained) & set(scored)
    assert Store(cfg.storage.root).keys("runs").__len__() == 3
