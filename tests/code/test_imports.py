"""The rules of who may import whom, read from the source."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(path for room in ("workbench", "workloads", "serve") for path in (ROOT / room).rglob("*.py"))
KERAS = {f"workbench/models/{one}.py" for one in ("keras_inputs", "keras_mlp", "keras_wide_deep")}
# Each heavy framework, and the files that may import it.
FENCES = {
    "torch": {
        *(f"workbench/models/{one}.py" for one in ("torch_inputs", "torch_mlp", "sequences", "autoencoder")),
        *(f"workbench/models/{one}.py" for one in ("lstm", "lstm_attention", "transformer")),
        *(f"workbench/training/{one}.py" for one in ("torch_loop", "torch_losses", "autoencoder")),
    },
    "tensorflow": {*KERAS, "workbench/training/keras_loop.py", "workbench/training/keras_losses.py"},
    "keras": {*KERAS, "workbench/training/keras_loop.py"},
    "xgboost": {"workbench/models/xgboost.py", "workbench/training/xgboost.py"},
    "lightgbm": {"workbench/models/lightgbm.py", "workbench/training/lightgbm.py"},
    "wandb": {"workbench/tracking.py"},
    "boto3": {"workbench/release/sagemaker.py"},
    "botocore": {"workbench/release/sagemaker.py"},
    "hydra": {"workloads/door.py"},
    "omegaconf": {"workloads/door.py"},
}


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("framework", FENCES)
def test_a_framework_is_imported_in_its_own_files_only(framework: str) -> None:
    users = {room_of(p) for p in SOURCES if any(name.split(".")[0] == framework for name in imported(p))}
    assert users <= FENCES[framework]


def test_the_library_imports_neither_steps_nor_service() -> None:
    faults = [
        (room_of(path), name)
        for path in SOURCES
        if room_of(path).startswith("workbench/")
        for name in imported(path)
        if name.split(".")[0] in ("workloads", "serve")
    ]
    assert faults == []


def test_the_service_never_imports_ray_data_or_a_training_framework() -> None:
    banned = ("ray.data", "ray.train", "torch", "tensorflow", "keras", "xgboost", "workloads")
    faults = [
        (room_of(path), name)
        for path in SOURCES
        if room_of(path).startswith("serve/")
        for name in imported(path)
        if name.startswith(banned)
    ]
    assert faults == []


def test_no_pickle_is_loaded_anywhere() -> None:
    faults = [
        (room_of(path), name)
        for path in SOURCES
        for name in imported(path)
        if name.split(".")[0] in ("pickle", "cloudpickle", "joblib", "dill")
    ]
    assert faults == []


def test_ray_does_not_parse_a_grammar_in_each_of_its_processes() -> None:
    """JupyterLab's JSON schemas bring one that costs six seconds where Ray imports `jsonschema`."""
    told = "import sys, ray; print({'lark', 'rfc3987_syntax'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
