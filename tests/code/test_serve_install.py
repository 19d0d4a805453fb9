"""What serves needs nothing that trains: its modules are imported with every package of the extra `train` missing."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = {"scikit-learn": "sklearn", "tensorflow-cpu": "tensorflow"}  # distributions whose module has another name
IMPLIED = {"keras"}
WITHOUT = """
import importlib, importlib.abc, sys

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
importlib.import_module({module!r})
"""


def trains() -> set[str]:
    """The modules of the extra `train`."""
    said = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["train"]
    names = {re.split(r"[<>=;\[ ]", one)[0] for one in said}
    return {MODULES.get(name, name) for name in names} | IMPLIED


def test_the_extra_has_every_framework() -> None:
    assert {"torch", "tensorflow", "xgboost", "lightgbm", "sklearn", "onnx", "wandb", "scipy"} <= trains()


@pytest.mark.parametrize("module", ["workloads.deploy", "workloads.sagemaker", "serve.endpoint", "serve.sagemaker"])
def test_a_module_that_serves_is_imported_without_them(module: str) -> None:
    program = WITHOUT.format(missing=trains(), module=module)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
