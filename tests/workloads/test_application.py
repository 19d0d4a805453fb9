"""The application that Serve builds itself is the champion's, or says what is to be done first."""

from pathlib import Path

import pytest

from workbench.data.store import Store
from workbench.errors import ConfigError
from workbench.release import ledger
from workloads import application, door


def words(folder: Path, *more: str) -> dict[str, list[str]]:
    return {"overrides": ["experiment=smoke", f"storage.root={folder / 'store'}", *more]}


def test_without_a_champion_it_says_which_command_makes_one(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"has no version of smoke\. Run python -m workloads\.pipeline experiment=smoke"
    ):
        application.build(words(tmp_path, "serve.version=champion"))


def test_it_trains_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"serve\.version=configured would train here\. Use serve\.version=champion"):
        application.build(words(tmp_path))


def test_a_key_that_no_config_has_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"serve\.replica is no key"):
        application.build(words(tmp_path, "serve.replica=2"))


def test_it_takes_the_version_that_the_ledger_names(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    stage = store.stage("models", "model-1")
    made = stage.commit({}, {}, {}, [])
    ledger.release(store, "smoke", made.key, "a test")
    cfg = door.composed(words(tmp_path, "serve.version=champion")["overrides"])
    assert application.champion(cfg).key == made.key
