"""What can be said to `submit`, and what is wrong with it, before any cluster is asked."""

from pathlib import Path

import pytest

from workloads import door, submit


def said(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    with pytest.raises(SystemExit) as ended:
        submit.main(words)
    return ended.value.code, capsys.readouterr().err


def test_every_workload_can_be_submitted_and_nothing_else() -> None:
    files = {path.stem for path in Path(door.__file__).parent.glob("*.py")}
    assert set(submit.steps()) == files - {"__init__", "door", "submit"}
    assert {"train", "pipeline", "deploy", "doctor"} <= set(submit.steps())


def test_a_verb_is_run_where_none_is_said_and_overrides_are_the_steps_own() -> None:
    asked = submit.parser().parse_intermixed_args(["train", "--cpus", "1", "experiment=smoke", "--follow", "a.b=-1"])
    assert (asked.words, asked.cpus, asked.follow) == (["train", "experiment=smoke", "a.b=-1"], 1.0, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "nothing is no step. Use one of: compare, deploy"),
        (["trian"], "trian is no step"),
        (["run", "door"], "door is no step"),
        (["train", "serve.port=none"], "serve.port"),
        (["train", "storage.root=store"], "storage.root=store is a path in this folder"),
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
