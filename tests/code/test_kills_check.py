"""What a kill may change is nothing; each way in which it could is found."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from benchmarks import kills_check
from workbench.data.parquet import write_table
from workbench.data.store import Store
from workbench.training import segments

STEPS = (10, 20, 30)


def rows_of(attempts: list[list[int]]) -> list[pa.Table]:
    return [
        pa.Table.from_pylist([{"fit": "test-seed0", "step": step} for step in one], segments.SCHEMA)
        for one in attempts
    ]  # fmt: skip


def run(folder: Path, attempts: list[list[int]], quality: float = 0.7, steps: tuple[int, ...] = STEPS) -> Store:
    """A store with a run whose history has these steps, and whose workers started so many times."""
    store = Store(str(folder))
    stage = store.stage("runs", "key")
    named = {"family": "xgboost", "fit": "test-seed0", "metric": "train_loss"}
    history: list[dict[str, Any]] = [{**named, "step": step, "value": 1 / step} for step in steps]
    stage.files.append(write_table(store.fs, stage.folder, pa.Table.from_pylist(history), "history"))
    for number, table in enumerate(rows_of(attempts), start=1):
        stage.files.append(write_table(store.fs, stage.folder, table, f"segment-xgboost-{number:04}"))
    stage.commit({}, {}, {"xgboost": {"validation_average_precision": quality}})
    return store


@pytest.fixture
def faults(tmp_path: Path) -> Callable[..., list[str]]:
    undisturbed = run(tmp_path / "undisturbed", [[10, 20, 30]])
    return lambda *kind, **more: kills_check.faults("xgboost", undisturbed, run(tmp_path / "killed", *kind, **more))


def test_a_training_that_went_on_where_it_was_has_no_fault(faults: Callable[..., list[str]]) -> None:
    assert faults([[10, 20], [30]]) == []


def test_a_step_that_was_trained_twice_is_found(faults: Callable[..., list[str]]) -> None:
    assert faults([[10, 20], [20, 30]]) == ["trained twice: [('test-seed0', 20)]"]


def test_other_figures_are_found(faults: Callable[..., list[str]]) -> None:
    assert faults([[10, 20], [30]], quality=0.6)[0].startswith("figures: ")


@pytest.mark.parametrize(
    ("steps", "said"),
    [((10, 20, 20, 30), "in the history twice"), ((10, 30), "history differs"), ((10, 20, 40), "history differs")],
)
def test_a_history_that_lacks_repeats_or_changes_a_step_is_found(
    faults: Callable[..., list[str]], steps: tuple[int, ...], said: str
) -> None:
    assert said in faults([[10, 20], [30]], steps=steps)[0]


def test_a_training_that_was_over_before_its_kill_does_not_count(faults: Callable[..., list[str]]) -> None:
    assert faults([[10, 20, 30]]) == ["it was not killed while it trained"]
