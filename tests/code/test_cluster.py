"""The Ray of our own is closed by a private token, and what the user has set stays as it is."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import ray

from workbench import cluster
from workbench.config import Config, KeysConfig, ScalingConfig
from workbench.errors import ConfigError, InputError, StoreError


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment in which nobody has said anything about Ray."""
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)
    return monkeypatch


def test_the_token_is_a_file_that_only_its_owner_reads(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cluster.use_token(str(tmp_path / "private" / "keys"))
    path = Path(os.environ["RAY_AUTH_TOKEN_PATH"])
    assert path == tmp_path / "private" / "keys" / "ray_token"
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o700)
    assert len(bytes.fromhex(path.read_text())) == 32


def test_the_token_stays_the_same_for_later_steps(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cluster.use_token(str(tmp_path))
    first = (tmp_path / "ray_token").read_text()
    bare.delenv("RAY_AUTH_TOKEN_PATH")
    cluster.use_token(str(tmp_path))
    assert (tmp_path / "ray_token").read_text() == first


@pytest.mark.parametrize("name", ["RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"])
def test_a_token_of_the_users_own_is_left_alone(bare: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    bare.setenv(name, "theirs")
    cluster.use_token(str(tmp_path / "keys"))
    assert not (tmp_path / "keys").exists()
    assert {key: value for key, value in os.environ.items() if key.startswith("RAY_AUTH_TOKEN")} == {name: "theirs"}


def test_our_own_ray_asks_for_a_token(bare: pytest.MonkeyPatch) -> None:
    cluster.set_defaults()
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_a_cluster_that_is_joined_decides_itself_who_may_enter(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    cluster.set_defaults()
    assert "RAY_AUTH_MODE" not in os.environ


def test_what_the_user_has_set_stays(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("RAY_SERVE_ENABLE_HA_PROXY", "0")
    cluster.set_defaults()
    assert os.environ["RAY_SERVE_ENABLE_HA_PROXY"] == "0"


class OfATask(Exception):
    """An error as Ray raises it: what a task raised is its cause, or only a part of its text."""

    def __init__(self, text: str, cause: BaseException | None = None) -> None:
        super().__init__(text)
        if cause is not None:
            self.cause = cause


def test_an_error_of_ours_is_found_as_itself_or_as_a_tasks_cause() -> None:
    error = InputError("rows")
    assert cluster.ours(error) is error
    assert cluster.ours(OfATask("failed", error)) is error


def test_an_error_of_ours_is_found_in_the_text_of_a_traceback_with_all_its_faults() -> None:
    text = "ray::f()\n  File x\nworkbench.errors.ConfigError: Two:\n  - first\n  - second\nmore of Ray's words"
    found = cluster.ours(OfATask(text))
    assert isinstance(found, ConfigError)
    assert str(found) == "Two:\n  - first\n  - second"


def test_of_several_errors_in_a_traceback_the_last_is_the_one_that_was_raised() -> None:
    text = "workbench.errors.InputError: the cause\n\nDuring handling\n\nworkbench.errors.StoreError: the effect"
    found = cluster.ours(OfATask(text))
    assert isinstance(found, StoreError)
    assert str(found) == "the effect"


@pytest.mark.parametrize("text", ["", "ValueError: no", "x workbench.errors.InputError: in the middle of a line"])
def test_what_is_not_ours_is_not_made_ours(text: str) -> None:
    assert cluster.ours(OfATask(text)) is None


@pytest.mark.parametrize(("variable", "value"), [("RAY_ADDRESS", "nonsense"), ("RAY_AUTH_TOKEN_PATH", "/nowhere")])
def test_a_ray_that_cannot_be_had_is_a_fault_of_the_environment(
    tmp_path: Path, bare: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    bare.setenv(variable, value)
    program = (
        "from workbench import cluster; from workbench.config import Config, KeysConfig, ScalingConfig\n"
        "cluster.set_defaults()\n"
        f"cluster.up(Config(scaling=ScalingConfig(name='x', ray_cpus=1), keys=KeysConfig(folder={str(tmp_path)!r})))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert "workbench.errors.EnvironmentFault: No Ray: " in done.stderr, done.stderr
    assert "RAY_AUTH_TOKEN" in done.stderr.splitlines()[-1]


TERMINATED = """
import os, signal, sys, time
from workbench import cluster
from workbench.config import Config, KeysConfig, ScalingConfig
from workloads import door

def work():
    with cluster.session():
        cluster.up(Config(scaling=ScalingConfig(name="x", ray_cpus=1), keys=KeysConfig(folder=sys.argv[1])))
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)

sys.exit(door.guarded(work))
"""


@pytest.mark.slow
def test_a_request_to_terminate_ends_like_ctrl_c_while_ray_runs(tmp_path: Path) -> None:
    words = [sys.executable, "-c", TERMINATED, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 130
    assert done.stderr.splitlines()[-1].startswith("interrupted: ")
    assert "SIGTERM" not in done.stderr, "Ray's own handler prints a stack"


@pytest.mark.usefixtures("ray_session")
def test_a_ray_that_was_there_before_a_step_is_used_and_stays() -> None:
    before = ray.get_runtime_context().get_node_id()
    with cluster.session():
        cluster.up(Config(scaling=ScalingConfig(name="other", ray_cpus=64), keys=KeysConfig(folder="unused")))
        assert ray.cluster_resources()["CPU"] == 4
    assert ray.get_runtime_context().get_node_id() == before


@pytest.mark.usefixtures("ray_session")
def test_datasets_are_read_in_the_same_order_each_time() -> None:
    rows = ray.data.range(200, override_num_blocks=20).map_batches(lambda batch: batch).take_all()
    assert [row["id"] for row in rows] == list(range(200))


@pytest.mark.usefixtures("ray_session")
def test_a_ray_of_our_own_never_grows_and_one_that_is_joined_may_until_it_says_no(bare: pytest.MonkeyPatch) -> None:
    from ray.experimental.internal_kv import _internal_kv_del, _internal_kv_put

    assert cluster.grows() is False
    bare.setenv("RAY_ADDRESS", "another")
    for kinds, expected in (({"gpu_worker": 1}, True), ({f"node_{'0' * 56}": 1}, False)):
        _internal_kv_put(cluster.AUTOSCALER, json.dumps({"autoscaler_report": {"active_nodes": kinds}}), overwrite=True)
        assert cluster.grows() is expected
    _internal_kv_del(cluster.AUTOSCALER)
    assert cluster.grows() is True
