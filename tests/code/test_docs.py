"""What the READMEs and docstrings say is true: their commands compose, their verbs exist, their tree is the tree."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

from workloads import door, submit

ROOT = Path(__file__).resolve().parents[2]
READMES = sorted(path for path in ROOT.rglob("README.md") if ".venv" not in path.parts)
STEPS = (
    "ingest", "validate", "featurize", "leakcheck", "train", "tune", "evaluate", "register",
    "deploy", "replay", "label", "parity", "monitor",
)  # fmt: skip
ASKED = ("compare", "learning_curve", "serve_config", "keys", "audit")  # no steps of the loop: a person asks for them
COMMAND = re.compile(r"python -m (workloads\.\w+|benchmarks\.\w+|workbench\.\w+)((?: [\w.]+=[^\s`#]+)*)")


def commands() -> list[tuple[str, str, str]]:
    found = [(path, *one) for path in READMES for one in COMMAND.findall(path.read_text())]
    return [(path.relative_to(ROOT).as_posix(), module, words) for path, module, words in found]


def test_the_readmes_have_commands_to_check() -> None:
    assert len(commands()) >= 12
    assert {module for _, module, _ in commands()} >= {"workloads.pipeline", "benchmarks.serving"}


@pytest.mark.parametrize(("readme", "module", "words"), commands())
def test_a_command_in_a_readme_is_one_that_runs(readme: str, module: str, words: str) -> None:
    if module == "workloads.STEP":
        return
    assert importlib.util.find_spec(module), f"{readme}: {module}"
    own = [word for word in shlex.split(words) if word != "data=orders"]  # the reader writes that file
    if module.startswith("workloads."):
        assert door.composed(own).name


SUBMITTED = re.compile(r"python -m workloads\.submit (?!list)(\w+)((?: [\w.]+=[^\s`#]+)*)")


def test_what_the_readmes_submit_is_a_step_and_its_words_compose() -> None:
    found = [one for path in READMES for one in SUBMITTED.findall(path.read_text())]
    assert len(found) >= 3
    for step, words in found:
        assert step in submit.steps()
        assert door.composed(shlex.split(words)).name


def groups() -> dict[str, set[str]]:
    """The choices of each group as the table of the configuration says them."""
    table = (ROOT / "conf" / "README.md").read_text().partition("| group | choices |")[2].partition("\n\n")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| `")]
    return {
        re.findall(r"`(\w+)`", one)[0]: set(re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", told)))
        for _, one, told, *_ in rows
    }


def test_the_table_of_groups_names_every_choice_there_is() -> None:
    there = {
        path.name: {one.stem for one in path.glob("*.yaml")} for path in (ROOT / "conf").iterdir() if path.is_dir()
    }
    assert groups() == there
    assert len(there) >= 7


def test_every_verb_in_a_readme_is_in_the_makefile() -> None:
    said = {verb for path in READMES for verb in re.findall(r"\bmake ([a-z-]+)\b(?=[\s`#]|$)", path.read_text())}
    there = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    verbs = said & {"help", "setup", "run", "test", "test-all", "check", "serve", "notebooks", "bench", "clean"}
    assert {"run", "test", "help", "bench"} <= verbs
    assert verbs <= there


def test_the_tree_in_the_readme_names_the_rooms_in_eight_words_each() -> None:
    block = (ROOT / "README.md").read_text().partition("## The tree")[2].partition("```\n")[2].partition("```")[0]
    rooms = {line.split("/")[0]: line.split()[1:] for line in block.splitlines()}
    there = {path.parent.name for path in ROOT.glob("*/README.md")}
    assert set(rooms) == there
    assert max(len(words) for words in rooms.values()) <= 8


@pytest.mark.parametrize("step", [*STEPS, *ASKED])
def test_a_step_says_what_it_reads_and_writes_and_how_it_is_run(step: str) -> None:
    doc = importlib.import_module(f"workloads.{step}").__doc__ or ""
    parts = re.search(
        r"^Reads: +\S.*^Writes: +\S.*^Run: +python -m workloads\.(\w+)(.*)$", doc, re.DOTALL | re.MULTILINE
    )
    assert parts, doc
    assert parts[1] == step
    assert door.composed([word for word in parts[2].split() if word != "scaling=gpu"]).name


def test_the_table_of_steps_has_every_step_in_the_order_of_the_loop() -> None:
    text = (ROOT / "workloads" / "README.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == [*STEPS, "pipeline", *ASKED]
