"""Every fault leaves through the door as one message and its exit code; what is written for machines is whole."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench.data.store import Store
from workbench.errors import ConfigError, EnvironmentFault, GateRefused, InputError, StoreError
from workloads import door


def raising(error: BaseException) -> Callable[[], None]:
    def work() -> None:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (GateRefused("no"), 1),
        (ConfigError("no"), 2),
        (InputError("no"), 3),
        (EnvironmentFault("no"), 3),
        (StoreError("no"), 3),
        (OSError(28, "No space left on device"), 3),
        (KeyboardInterrupt(), 130),
        (ZeroDivisionError("ours"), 70),
    ],
)
def test_a_fault_has_its_exit_code(error: BaseException, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert door.guarded(raising(error)) == code
    said = capsys.readouterr().err
    assert ("Traceback" in said) == (code == door.OUR_MISTAKE), "only our own mistakes show where they were made"


def test_work_that_ends_well_gives_0() -> None:
    assert door.guarded(lambda: None) == 0


def test_a_request_to_terminate_ends_like_ctrl_c() -> None:
    assert door.guarded(lambda: os.kill(os.getpid(), signal.SIGTERM)) == 130


def test_all_faults_of_a_config_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        door.composed(["serve.port=70000", "scaling.workers=0", "data.split.kind=other"])
    for key in ("serve.port=70000", "scaling.workers=0", "data.split.kind=other"):
        assert key in str(caught.value)


@pytest.mark.parametrize("override", ["train.xgboost.max_deph=3", "serve.port=many", "tracker=nowhere", "=", "a b"])
def test_words_that_hydra_refuses_are_a_config_error(override: str) -> None:
    with pytest.raises(ConfigError):
        door.composed([override])


def test_a_key_that_only_the_user_can_say_is_asked_for_by_name() -> None:
    with pytest.raises(ConfigError, match=r"data\.event_time, data\.id"):
        door.composed(["data=file"])


def test_what_is_written_for_machines_is_the_artifact(store: Store, tmp_path: Path) -> None:
    artifact = store.stage("things", "k1").commit({}, {}, {"rows": 3})
    door.write_output(tmp_path / "out.json", artifact)
    assert json.loads((tmp_path / "out.json").read_text()) == {"id": "k1", "uri": artifact.uri, "figures": {"rows": 3}}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
