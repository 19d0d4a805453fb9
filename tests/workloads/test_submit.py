"""What can be said to `submit`, and what is wrong with it, before any cluster is asked."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import EnvironmentFault
from workbench.jobs import follow
from workbench.jobs.attempts import Attempt, State
from workbench.jobs.job import Job
from workbench.jobs.package import Package
from workloads import door, submit


def said(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    with pytest.raises(SystemExit) as ended:
        submit.main(words)
    return ended.value.code, capsys.readouterr().err


def test_every_workload_can_be_submitted_and_nothing_else() -> None:
    sources = {path.stem: path.read_text() for path in Path(door.__file__).parent.glob("*.py")}
    takes_a_config = {name for name, text in sources.items() if "door.main(" in text or "door.asked(" in text}
    assert set(submit.steps()) == takes_a_config
    assert {"train", "pipeline", "deploy", "doctor"} <= takes_a_config


def test_a_verb_is_run_where_none_is_said_and_overrides_are_the_steps_own() -> None:
    asked = submit.parser().parse_intermixed_args(["train", "--cpus", "1", "experiment=smoke", "--follow", "a.b=-1"])
    assert (asked.words, asked.cpus, asked.follow) == (["train", "experiment=smoke", "a.b=-1"], 1.0, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "nothing is no step. Use one of: "),
        (["trian"], "trian is no step"),
        (["run", "door"], "door is no step"),
        (["train", "serve.port=none"], "serve.port"),
        (["train", "storage.root=store"], "storage.root=store is a path in this folder"),
        (["deploy", "storage.root=/s", "serve.journal=journal"], "serve.journal=journal is a path in this folder"),
        (
            ["train", "storage.root=s3://b/s", "output.json=o.json"],
            "output.json=o.json is written when the job has ended",
        ),
        (["train", "--resource", "slots"], "--resource slots is not of the form NAME=NUMBER"),
        (["train", "--cpus", "-1"], "CPU -1 must be 0 or more"),
        (["train", "--memory", "nan"], "memory nan must be 0 or more"),
        (["train", "--retries", "2"], "needs --follow"),
        (["train", "storage.root=s3://b/s", "--address", "head:8265"], "--address=head:8265 is not where jobs go"),
        (["status", "no-job"], "no-job is no step"),
    ],
)
def test_what_is_wrong_with_a_command_ends_it_with_2(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, err = said(words, capsys)
    assert (code, told in err) == (2, True), err
    assert "Traceback" not in err


def test_an_option_that_nobody_knows_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    code, err = said(["train", "--folow"], capsys)
    assert (code, "--folow" in err) == (2, True)


DIGEST = "0123456789abcdef"


@dataclass
class Losing:
    """A cluster that loses its first attempts, each while it runs; some may have been submitted by others before."""

    lost: int
    running: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    address: str = "http://head:8265"

    def attempts(self) -> list[Attempt]:
        return [Attempt(one, State.failed) for one in self.gone] + [Attempt(one, State.running) for one in self.running]

    def submit(self, name: str, *_: Any) -> bool:
        self.running.append(name)
        return True

    def attempt(self, name: str) -> Attempt | None:
        if name in self.running and len(self.gone) < self.lost:
            self.running.remove(name)
            self.gone.append(name)
        if name in self.gone:
            return Attempt(name, State.failed, "its process was lost")
        return Attempt(name, State.succeeded, exit_code=0)

    async def tail(self, _: str) -> AsyncIterator[str]:
        yield "a line\n"

    def log(self, _: str) -> str:
        return "a line\n"


@pytest.mark.parametrize("before", [[], [f"{DIGEST}-1"]], ids=["submitted here", "runs already"])
@pytest.mark.parametrize(("retries", "lost"), [(0, 0), (1, 1), (2, 2), (2, 0)])
def test_a_job_that_the_cluster_loses_is_submitted_again_so_often(
    before: list[str], retries: int, lost: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "LOOK_EVERY_S", 0.001)
    words = ["train", "experiment=smoke", "--follow", "--retries", str(retries)]
    asked = submit.parser().parse_intermixed_args(words)
    made = Job("train", [], door.composed(["experiment=smoke"]), DIGEST, Package({}, b""), {})

    def ended(losing: Losing) -> int:
        cluster: Any = losing
        return submit.Submission(cluster, made, asked, None).ended()

    assert ended(good := Losing(lost, list(before))) == 0
    assert good.running == [f"{DIGEST}-{lost + 1}"], "each attempt goes on from what the last one left"
    with pytest.raises(EnvironmentFault, match="was lost"):
        ended(Losing(retries + 1, list(before)))
