"""Every YAML composes and arrives as it is written; what only the user can say is asked for."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from workbench.config import REQUIRED, Config
from workbench.errors import ConfigError
from workbench.value_rules import lookup
from workloads import door

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


@pytest.mark.usefixtures("with_columns")
def test_a_label_that_the_model_would_see_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.label\.column=chargeback is also in data\.columns"):
        door.composed(["data=file", *ORDERS, "data.columns.order.source=chargeback"])


def test_composing_twice_gives_equal_configs_that_share_nothing() -> None:
    first, second = door.composed([]), door.composed([])
    assert first == second
    first.train.families.clear()
    first.data.columns.clear()
    assert second == door.composed([])
