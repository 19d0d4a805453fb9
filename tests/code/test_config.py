"""Every YAML composes and arrives as it is written; what types cannot say is told in one answer."""

import copy
import dataclasses
import math
import re
import shutil
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from workbench.config import REQUIRED, Config
from workbench.errors import ConfigError
from workbench.validation import check_learning, lookup, validate
from workloads import deploy, door, evaluate, featurize, label, monitor, pipeline, register, replay, train

FILES = sorted(path.relative_to(door.CONF).with_suffix("").as_posix() for path in door.CONF.rglob("*.yaml"))
ORDERS = [  # what the template for a user's own data asks for
    "data.name=orders", "data.source.path=orders.csv", "data.id=order", "data.event_time=paid_at",
    "data.label.column=chargeback", "data.label.positive=yes", "data.label.negative=no", "data.label.delay_days=30",
]  # fmt: skip
COLUMNS = "columns: {order: {type: string}, paid_at: {type: timestamp}}\n"
MORE = {"data/file": ["experiment=credit", *ORDERS], "data/lending_club": ["experiment=credit"]}


@pytest.fixture
def with_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The template holds columns: the one thing that it asks for and the command line cannot say."""
    shutil.copytree(door.CONF, tmp_path / "conf")
    template = tmp_path / "conf" / "data" / "file.yaml"
    template.write_text(re.sub(r"columns: .*\n", COLUMNS, template.read_text()))
    monkeypatch.setattr(door, "CONF", tmp_path / "conf")


def overrides(file: str) -> list[str]:
    """The words on the command line that choose a file of `conf/`."""
    return [file.replace("/", "="), *MORE.get(file, [])] if "/" in file else []


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every dotted key of a YAML and its value."""
    if not isinstance(value, dict):
        yield path, value
        return
    for name, one in value.items():
        yield from leaves(one, f"{path}.{name}".lstrip("."))


def written(file: str) -> dict[str, Any]:
    """The keys that a file sets, as the whole config names them."""
    content = yaml.safe_load((door.CONF / f"{file}.yaml").read_text())
    content.pop("defaults", None)
    whole = (door.CONF / f"{file}.yaml").read_text().startswith("# @package _global_")
    group = file.partition("/")[0] if "/" in file and not whole else ""
    return {key: value for key, value in leaves(content, group) if value != REQUIRED}


def arrived(cfg: Config, key: str) -> Any:
    """The value of a dotted key, through columns by their names."""
    head, _, rest = key.partition("data.columns.")
    if head or not rest:
        return lookup(cfg, key)
    name, _, rule = rest.partition(".")
    return getattr(cfg.data.columns[name], rule)


def test_the_files_are_all_found() -> None:
    assert len(FILES) == 32
    assert len({file.partition("/")[0] for file in FILES if "/" in file}) == 8


@pytest.mark.usefixtures("with_columns")
@pytest.mark.parametrize("file", FILES)
def test_what_a_file_says_is_what_the_steps_see(file: str) -> None:
    cfg = door.composed(overrides(file))
    said = {key: value for key, value in written(file).items() if "${" not in str(value)}  # those: the test below
    for key, value in said.items():
        if key != "features.views":
            assert arrived(cfg, key) == value, key
    assert [view["name"] for view in said.get("features.views", [])] in ([], [view.name for view in cfg.features.views])


def test_the_template_asks_for_keys_that_only_the_user_can_say() -> None:
    with pytest.raises(
        ConfigError, match=r"must be set: data\.event_time, data\.id, data\.label\.delay_days, data\.name"
    ):
        door.composed(["data=file"])


@pytest.mark.usefixtures("with_columns")
@pytest.mark.parametrize("key", ["data.source.path", "data.label.positive"])
def test_what_is_left_out_of_a_users_own_data_set_is_told(key: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(key)):
        door.composed(["data=file", *[word for word in ORDERS if not word.startswith(key)]])


def test_a_data_set_without_columns_is_told_so() -> None:
    with pytest.raises(ConfigError, match=r"data\.columns is empty"):
        door.composed(["data=file", *ORDERS])


def test_the_store_and_the_keys_are_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WORKBENCH_STORE", str(tmp_path / "a store, with = signs"))
    monkeypatch.setenv("WORKBENCH_KEYS", str(tmp_path / "keys"))
    cfg = door.composed([])
    assert (cfg.storage.root, cfg.keys.folder) == (str(tmp_path / "a store, with = signs"), str(tmp_path / "keys"))
    for name in ("WORKBENCH_STORE", "WORKBENCH_KEYS"):
        monkeypatch.delenv(name)
    cfg = door.composed([])
    assert (cfg.storage.root, cfg.keys.folder) == ("store", "~/.config/ray-ai-workbench")


@pytest.mark.parametrize("keys", ["store", "store/keys", "other/../store/a/b", "link/keys"])
@pytest.mark.parametrize("scheme", ["", "file://"])
def test_keys_do_not_lie_in_the_store(tmp_path: Path, keys: str, scheme: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "store")
    with pytest.raises(ConfigError, match=r"keys.folder=.* lies in storage.root=.* Use a folder outside it"):
        door.composed([f"storage.root={scheme}{tmp_path}/store", f"keys.folder={tmp_path}/{keys}"])
    door.composed([f"storage.root={scheme}{tmp_path}/store", f"keys.folder={tmp_path}/store-keys"])
    door.composed(["storage.root=s3://bucket/store", f"keys.folder={tmp_path}/{keys}"])


def test_what_a_bucket_asks_for_belongs_into_the_environment_and_is_not_repeated() -> None:
    with pytest.raises(ConfigError, match="holds a key, and configs are shown") as refused:
        door.composed(["storage.root=s3://key:hidden@bucket/store"])
    assert "hidden" not in str(refused.value)
    with pytest.raises(ConfigError, match="Leave them to AWS_ENDPOINT_URL"):
        door.composed(['storage.root="s3://bucket/store?endpoint_override=localhost:9000"'])


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
    "data.columns.event_time.minimum=3": "data.columns.event_time.minimum is for integer, number, money",
    "data.columns.customer_id.nulls=true": "data.entities needs a value in every row",
}


@pytest.mark.parametrize(("override", "said"), FAULTS.items())
def test_a_fault_that_types_cannot_show_is_told_with_its_key(override: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        door.composed([override])
    assert str(caught.value).count("\n  - ") == 1, "and nothing else is blamed"


def test_costs_need_a_price_and_an_amount() -> None:
    with pytest.raises(ConfigError) as caught:
        door.composed(["register.threshold.rule=cost"])
    assert str(caught.value).count("\n  - register.threshold.rule=cost needs register.threshold.") == 2
    door.composed(
        ["register.threshold.rule=cost", "register.threshold.cost_false_positive_minor=500",
         "register.threshold.amount=amount_minor"]
    )  # fmt: skip


def test_a_fold_of_its_own_for_calibration_needs_a_second_one() -> None:
    own = ["train.calibration.method=platt", "train.calibration.rows=last_fold"]
    with pytest.raises(ConfigError, match=r"last_fold needs a second fold .* Use rows=crossed"):
        door.composed(own)
    door.composed(["experiment=published", *own])
    door.composed(["experiment=credit", "data.split.folds=5", *own])


def test_all_tenths_are_too_many_for_six_members() -> None:
    six = "train.families=[xgboost,lightgbm,random_forest,logistic_regression,torch_mlp,keras_mlp]"
    with pytest.raises(ConfigError, match=r"tries every mixture, too many of 6 families. Use greedy or stacked"):
        door.composed([six, "train.ensemble.method=grid"])
    door.composed([six, "train.ensemble.method=greedy"])


def test_all_faults_are_told_at_once() -> None:
    chosen = ["tracker.mode=mlflow", "scaling.workers=0", "train.families=[]", "serve.port=0", "data.id=nothing"]
    with pytest.raises(ConfigError) as caught:
        door.composed(chosen)
    assert str(caught.value).count("\n  - ") == len(chosen)


def test_a_direction_of_no_feature_is_refused_with_the_names_that_are_near() -> None:
    cfg = door.composed(["train.xgboost.rising=[terminal_risc_7d,amount_minor]", "train.lightgbm.falling=[anything]"])
    with pytest.raises(ConfigError) as caught:
        check_learning(cfg)
    assert "train.xgboost.rising=terminal_risc_7d names no feature. Use one of: terminal_risk_7d," in str(caught.value)
    assert str(caught.value).count("\n  - ") == 1, "a family that is not trained is not asked"
    with pytest.raises(ConfigError, match=r"rising and \.falling both name amount_minor"):
        door.composed(["train.xgboost.rising=[amount_minor]", "train.xgboost.falling=[amount_minor]"])


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.0, 0.5), (0.5, 0.0), (0.9, -0.2)])
def test_a_stratified_split_leaves_rows_to_train_on(shares: tuple[float, float]) -> None:
    cfg = door.composed(["experiment=credit"])
    cfg.data.split.validation_share, cfg.data.split.test_share = shares
    with pytest.raises(ConfigError, match="leave no rows to select, test or train on"):
        validate(cfg)


@pytest.mark.usefixtures("with_columns")
def test_a_label_that_the_model_would_see_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.label\.column=chargeback is also in data\.columns"):
        door.composed(["data=file", *ORDERS, "data.columns.order.source=chargeback"])


@pytest.fixture(scope="module")
def default() -> Config:
    return door.composed([])


def numbers(path: str, kind: type) -> Iterator[str]:
    """Every key of a section that holds a number."""
    for field in dataclasses.fields(kind):
        hint, key = typing.get_type_hints(kind)[field.name], f"{path}.{field.name}"
        if dataclasses.is_dataclass(hint):
            yield from numbers(key, typing.cast(type, hint))
        elif set(typing.get_args(hint) or [hint]) & {int, float} and typing.get_origin(hint) not in (list, dict):
            yield key


SECTIONS = ("train", "tune", "evaluate", "register", "serve", "replay", "monitor", "scaling")
NUMBERS = [key for name in SECTIONS for key in numbers(name, typing.get_type_hints(Config)[name])]


def test_every_number_is_found() -> None:
    assert len(NUMBERS) == 191


@pytest.mark.parametrize("key", NUMBERS)
@pytest.mark.parametrize("value", [-1, math.nan, math.inf])
def test_no_number_may_be_negative_none_or_endless(default: Config, key: str, value: float) -> None:
    cfg = copy.deepcopy(default)
    section, _, name = key.rpartition(".")
    setattr(lookup(cfg, section), name, value)
    with pytest.raises(ConfigError, match=re.escape(f"{key}={value}")):
        validate(cfg)


@pytest.mark.parametrize("starts", ["[]", "[soon]", '["2018-07-25","2018-07-25"]'])
def test_folds_start_on_dates_each_once(starts: str) -> None:
    with pytest.raises(ConfigError, match=r"evaluate\.fold_starts=.* at least one and each once"):
        door.composed(["experiment=published", f"evaluate.fold_starts={starts}"])


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


def test_composing_twice_gives_equal_configs_that_share_nothing() -> None:
    first, second = door.composed([]), door.composed([])
    assert first == second
    first.train.families.clear()
    first.data.columns.clear()
    assert second == door.composed([])
