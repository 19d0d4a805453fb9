"""What types cannot say is told in one answer, each fault with its key and remedy, before anything runs."""

from pathlib import Path

import pytest

from workbench.errors import ConfigError
from workloads import deploy, door, evaluate, featurize, label, monitor, pipeline, register, replay, train

FAULTS = {
    "data.source.kind=kafka": "data.source.kind=kafka is unknown. Use one of: benchmark, file.",
    "data.split.kind=random": "data.split.kind=random is unknown",
    "evaluate.protocol=loo": "evaluate.protocol=loo is unknown",
    "tune.searcher=grid": "tune.searcher=grid is unknown. Use one of: random, tpe",
    "tune.scheduler=bohb": "tune.scheduler=bohb is unknown. Use one of: none, asha, median, pbt",
    "tune.trials=0": "tune.trials=0 must be greater than 0",
    "tune.grace_percent=100": "tune.grace_percent=100 must be from 1 to 99",
    "tune.objectives=[roc_auc]": r"tune.objectives=\['roc_auc'\] must name average_precision first",
    "tracker.mode=mlflow": "tracker.mode=mlflow is unknown",
    "data.source.benchmark.days=0": "data.source.benchmark.days=0 must be greater than 0",
    "scaling.workers=0": "scaling.workers=0 must be greater than 0",
    "scaling.cpus_per_worker=nan": "scaling.cpus_per_worker=nan must be greater than 0",
    "serve.compact_every_s=0": "serve.compact_every_s=0.0 must be greater than 0",
    "train.families=[]": r"train.families=\[\] must name some of xgboost, lightgbm, .*keras_mlp, .*, each once",
    "train.families=[xgboost,svm]": "must name some of",
    "train.xgboost.positive_weight=0": "train.xgboost.positive_weight=0.0 must be greater than 0 and finite",
    "train.keras_mlp.negative_share=1.5": "train.keras_mlp.negative_share=1.5 must be greater than 0 and at most 1",
    "train.torch_mlp.loss=hinge": "train.torch_mlp.loss=hinge is unknown. Use one of: log, focal.",
    "train.torch_mlp.focal_gamma=-1": "train.torch_mlp.focal_gamma=-1.0 must be at least 0 and finite",
    "train.lightgbm.anomaly_feature=svm": "svm is unknown. Use one of: null, autoencoder, isolation_forest.",
    "train.autoencoder.rows=bad": "train.autoencoder.rows=bad is unknown. Use one of: all, good.",
    "train.autoencoder.hidden=[0]": r"train.autoencoder.hidden=\[0\] must be the units of some layers",
    "train.isolation_forest.samples=1": "train.isolation_forest.samples=1 must be at least 2",
    "data.bad_rows_limit=1": "data.bad_rows_limit=1.0 must be at least 0 and less than 1",
    "register.flagged_share=-0.1": "register.flagged_share=-0.1 must be at least 0",
    "monitor.false_alarm_rate=nan": "monitor.false_alarm_rate=nan must be at least 0",
    "serve.replicas=2": "lives in one process. Use serve.replicas=1, or serve.state=redis, which replicas share",
    "serve.state=disk": "serve.state=disk is unknown. Use one of: memory, redis",
    "serve.redis_url=http://localhost": "serve.redis_url=http://localhost is no Redis. Use redis://HOST:PORT/DB",
    "serve.redis_url=redis://:hush@localhost": "serve.redis_url holds a password, and configs are shown",
    "serve.replicas=0": "serve.replicas=0 must be greater than 0",
    "serve.port=65536": "serve.port=65536 must be from 1 to 65535",
    "serve.port=0": "serve.port=0 must be from 1 to 65535",
    "train.torch_mlp.dropout=1.5": "train.torch_mlp.dropout=1.5 must be at least 0 and less than 1",
    "train.keras_mlp.hidden=[64,0]": r"train.keras_mlp.hidden=\[64, 0\] must name the units of at least one layer",
    "train.torch_mlp.hidden=[]": r"train.torch_mlp.hidden=\[\] must name the units of at least one layer",
    "train.keras_mlp.leaves=1": "train.keras_mlp.leaves=1 must be 0 or at least 2",
    "train.xgboost.subsample=0": "train.xgboost.subsample=0.0 must be greater than 0 and at most 1",
    "train.xgboost.max_bin=1": "train.xgboost.max_bin=1 must be at least 2",
    "train.xgboost.reg_lambda=inf": "train.xgboost.reg_lambda=inf must be at least 0 and finite",
    "data.split.folds=0": "data.split.folds=0 must be at least 1",
    "train.ensemble.method=mean": "train.ensemble.method=mean is unknown. Use one of: greedy, stacked, grid",
    "train.calibration.method=beta": "train.calibration.method=beta is unknown. Use one of: none, platt, isotonic",
    "register.threshold.rule=best": "register.threshold.rule=best is unknown. Use one of: flagged_share, cost",
    "register.threshold.rule=capacity": "rule=capacity needs register.threshold.capacity. Set it or change the rule",
    "register.threshold.amount=customer_id": "amount=customer_id is no money column .* Use one of amount_minor",
    "train.seeds=[-1]": r"train.seeds=\[-1\] must name at least one number from 0 to 2147483647",
    "evaluate.published=typo": "evaluate.published=typo is no published table. Use null or one of: chapter_3_test, ch",
    "evaluate.published=source": "evaluate.published=source is no published table",
    "register.minimum_average_precision=2": "register.minimum_average_precision=2.0 must be at least 0 and at most 1",
    "monitor.performance_drop=1": "monitor.performance_drop=1.0 must be at least 0 and less than 1",
    "data.source.benchmark.start=soon": "data.source.benchmark.start=soon is not a date",
    "replay.start=2018-13-01": "replay.start=2018-13-01 is not a date. Use the form 2018-07-25.",
    "data.split.train_start=null": "data.split.train_start is not set, and data.split.kind=time needs it",
    "data.id=nothing": "data.id=nothing names no column",
    "data.columns.amount_minor.minimum=inf": "data.columns.amount_minor.minimum=inf is no finite number",
    "data.columns.event_time.minimum=3": "data.columns.event_time.minimum is for integer, number, money",
    "data.columns.customer_id.nulls=true": "data.entities needs a value in every row",
}


@pytest.mark.parametrize(("override", "said"), FAULTS.items())
def test_a_fault_that_types_cannot_show_is_told_with_its_key(override: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        door.composed([override])
    assert str(caught.value).count("\n  - ") == 1, "and nothing else is blamed"


def test_all_faults_are_told_at_once() -> None:
    chosen = ["tracker.mode=mlflow", "scaling.workers=0", "train.families=[]", "serve.port=0", "data.id=nothing"]
    with pytest.raises(ConfigError) as caught:
        door.composed(chosen)
    assert str(caught.value).count("\n  - ") == len(chosen)


MISFITS = {
    "payments": ["features=credit", "column=funded_amnt names no column", "column=num_il_tl names no column"],
    "credit": ["features=payments", "entity=customer_id is no entity", "column=amount_minor names no column"],
}


@pytest.mark.parametrize("experiment", MISFITS)
def test_views_of_another_data_set_are_refused_before_anything_runs_with_all_other_faults(
    experiment: str, tmp_path: Path
) -> None:
    override, *words = MISFITS[experiment]
    more = "data.split.exclude_known=nobody"
    cfg = door.composed([f"experiment={experiment}", override, more, f"storage.root={tmp_path / 'store'}"])
    for step in (pipeline, train, evaluate, register, deploy, replay, label, monitor):
        with pytest.raises(ConfigError) as caught:
            step.run(cfg)
        assert all(word in str(caught.value) for word in [*words, more]), step.__name__
    with pytest.raises(ConfigError, match=words[0]):
        featurize.run(cfg)
    assert not (tmp_path / "store").exists(), "the store was looked for only"
