"""What is refused before anything starts, what a replica runs in, and what is waited for."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from serve import app
from serve.replica import Replica
from tests.serve import small
from tests.workloads.endpoint.conftest import configured
from workbench.data.store import Store
from workbench.errors import ConfigError, EnvironmentFault
from workloads.endpoint.live import Live, application, live


def test_a_champion_whose_features_the_data_cannot_give_starts_nothing(store: Store, champion: str) -> None:
    cfg = configured(store, "data=handbook")
    told = r"version v1 was trained on small and needs amount, .*experiment=small"
    with pytest.raises(ConfigError, match=told), live(cfg):
        pytest.fail("it went live")


def test_a_replica_has_the_environment_of_its_job_and_its_own(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = {"working_dir": "gcs://code.zip", "env_vars": {"WORKBENCH_CODE": "abc", "KEPT": "1"}}
    monkeypatch.setattr("ray.get_runtime_context", lambda: SimpleNamespace(runtime_env=job))
    made = application(configured(store), small.settings(store, tmp_path))
    assert made._bound_deployment.func_or_class is Replica, "its memory is kept from the collector"
    told = made._bound_deployment.ray_actor_options["runtime_env"]
    assert told["working_dir"] == "gcs://code.zip"
    assert told["env_vars"] == {"WORKBENCH_CODE": "abc", "KEPT": "1", **app.ENVIRONMENT}
    assert job["env_vars"] == {"WORKBENCH_CODE": "abc", "KEPT": "1"}, "the job's own stays as it is"


def test_what_was_set_aside_is_told_and_waited_for_by_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "predictions-1.unreadable").write_text("no record\n")
    endpoint = Live("http://127.0.0.1:1", "", tmp_path)
    endpoint.drained(timeout_s=0)
    told = capsys.readouterr()
    assert f"{tmp_path / 'predictions-1.unreadable'} cannot be read" in told.out + told.err
    (tmp_path / "predictions-2.jsonl").write_text("{}\n")
    with pytest.raises(EnvironmentFault, match="was not moved"):
        endpoint.drained(timeout_s=0)
