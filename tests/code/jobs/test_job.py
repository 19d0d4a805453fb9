"""What is told of a job, and what of a config can never run on another machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.data.store import code_version
from workbench.errors import ConfigError
from workbench.jobs import job, package, shown
from workbench.jobs.attempts import Attempt, State
from workbench.jobs.job import Job
from workloads import door


@pytest.fixture
def commit(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The commit that a job is told it is of."""
    monkeypatch.setenv("WORKBENCH_CODE", "abc123+changed")
    code_version.cache_clear()
    yield "abc123"
    code_version.cache_clear()


def test_a_job_says_who_what_and_by_which_code(commit: str, tmp_path: Path) -> None:
    code = package.package([], {}, tmp_path)
    one = Job("train", ["experiment=smoke"], door.composed(["experiment=smoke"]), "d" * 16, code, {}, "/my env/python")
    told = one.about()
    assert told["who"].count("@") == 1
    assert (told["step"], told["experiment"], told["commit"], told["tree"]) == ("train", "smoke", commit, "changed")
    assert one.entrypoint == "'/my env/python' -m workloads.train --resolved job.json"
    assert all(isinstance(value, str) for value in told.values()), "Ray keeps texts"


def test_all_paths_that_only_this_machine_knows_are_told_at_once() -> None:
    cfg = door.composed(["experiment=smoke", "storage.root=store", "leakcheck.path=a.csv", "leakcheck.label=x"])
    with pytest.raises(ConfigError) as caught:
        job.check(cfg)
    assert {"storage.root=store", "leakcheck.path=a.csv"} <= set(str(caught.value).split())


def test_a_path_that_names_a_key_is_refused_without_showing_it() -> None:
    with pytest.raises(ConfigError, match="holds a user or a key") as caught:
        job.check(door.composed(["leakcheck.path=s3://AKIA:hush@bucket/a.csv", "leakcheck.label=x"]))
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("root", ["/shared/store", "s3://bucket/store", "~/store"])
def test_a_storage_that_all_nodes_may_see_is_let_through(root: str) -> None:
    job.check(door.composed([f"storage.root={root!r}"]))


def test_jobs_are_listed_the_newest_first_and_in_columns() -> None:
    about = {"step": "train", "experiment": "smoke", "who": "me@here", "commit": "abc", "tree": "changed"}
    found = [Attempt("a" * 16 + "-1", State.failed, about=about, started_s=1.0),
             Attempt("b" * 16 + "-12", State.running, about=about, started_s=2.0)]  # fmt: skip
    head, first, second = shown.table(found).splitlines()
    assert first.startswith("b" * 16 + "-12  RUNNING  train")
    assert "abc+changed" in second
    assert head.index("state") == first.index("RUNNING") == second.index("FAILED")
