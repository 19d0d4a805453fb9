"""A config arrives as it was composed, with what is the cluster's own from the cluster's environment."""

import json
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import ConfigError
from workbench.jobs import sent
from workloads import door

EXPERIMENTS = sorted(path.stem for path in (door.CONF / "experiment").glob("*.yaml"))


def travelled(folder: Path, values: dict[str, Any]) -> Path:
    path = folder / sent.FILE
    path.write_text(json.dumps(values))
    return path


def test_the_experiments_are_all_found() -> None:
    assert len(EXPERIMENTS) >= 8


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_arrives_as_it_was_composed(tmp_path: Path, experiment: str) -> None:
    words = [f"experiment={experiment}", f"storage.root={tmp_path}/store"]
    cfg = door.composed(words)
    assert sent.read(travelled(tmp_path, sent.plain(cfg, set(sent.OWN)))) == cfg


def test_keys_and_journal_are_the_clusters_unless_they_were_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_KEYS", "/client/keys")
    path = travelled(tmp_path, sent.plain(door.composed(["serve.journal=/said/journal"]), {"serve.journal"}))
    assert "/client" not in path.read_text()
    monkeypatch.setenv("WORKBENCH_KEYS", "/cluster/keys")
    monkeypatch.setenv("WORKBENCH_JOURNAL", "/cluster/journal")
    cfg = sent.read(path)
    assert (cfg.keys.folder, cfg.serve.journal) == ("/cluster/keys", "/said/journal")
    monkeypatch.delenv("WORKBENCH_KEYS")
    assert sent.read(path).keys.folder == "~/.config/ray-ai-workbench"


def test_a_jobs_journal_and_its_runs_outlive_the_folder_that_it_runs_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WORKBENCH_JOURNAL", raising=False)
    monkeypatch.delenv("WORKBENCH_WANDB", raising=False)
    cfg = sent.read(travelled(tmp_path, sent.plain(door.composed([]), set())))
    for one in (cfg.serve.journal, cfg.tracker.folder):
        assert Path(one).is_absolute() and Path(one).is_relative_to(Path.home())


def test_the_name_of_a_job_is_of_its_step_and_config_and_not_of_the_clients_files() -> None:
    def name(step: str, *words: str) -> str:
        return sent.name_of(step, sent.plain(door.composed(list(words)), set()))

    same = name("train", "experiment=smoke", "output.json=a.json")
    assert same == name("train", "experiment=smoke")
    assert (
        len({same, name("evaluate", "experiment=smoke"), name("train", "experiment=smoke", "scaling.workers=2")}) == 3
    )


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"keys": {"folder": null}}', '{"keys": 1}'])
def test_a_config_of_another_version_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / sent.FILE
    path.write_text(text)
    with pytest.raises(ConfigError, match="no config of this version"):
        sent.read(path)


def test_a_key_that_this_version_does_not_know_is_refused(tmp_path: Path) -> None:
    values = sent.plain(door.composed(["experiment=smoke"]), set())
    values["scaling"]["more_workers"] = 3
    with pytest.raises(ConfigError, match="more_workers"):
        sent.read(travelled(tmp_path, values))


def test_the_record_of_a_job_is_the_last_that_its_log_holds() -> None:
    log = 'train\noutput: {"id": "1"}\nwords, output: none\noutput: {"id": "2", "figures": {}}\nbye\n'
    assert sent.record_of(log) == {"id": "2", "figures": {}}
    assert sent.record_of("nothing\n") is None
