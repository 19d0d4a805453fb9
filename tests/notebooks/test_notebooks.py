"""The notebooks run from top to bottom on three nodes, draw their pictures, and are stored without output."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from benchmarks import nodes
from tests.loop.commands import ROOT, free_port

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PICTURES = {
    "01_data_and_contract": 1, "02_submit_and_follow": 1, "03_compare": 3, "04_explain": 3, "05_drift_and_loop": 3,
}  # fmt: skip
EXPERIMENT = '"experiment=smoke"'


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def test_there_are_five_notebooks_in_an_order() -> None:
    assert [path.stem for path in NOTEBOOKS] == list(PICTURES)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_valid_and_stored_without_output(path: Path) -> None:
    book = read(path)
    nbformat.validate(book)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert [cell for cell in code if cell.outputs or cell.execution_count] == []
    assert book.cells[0].cell_type == "markdown" and book.cells[0].source.startswith("# ")
    assert max(len(cell.source.splitlines()) for cell in code) <= 20, "a cell is read at a glance"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_uses_what_is_public_only(path: Path) -> None:
    code = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "code")
    assert re.findall(r"(?<!\w)(?:\w+\.)+_(?!_)\w+|import .*\b_\w+", code) == []
    assert EXPERIMENT in code


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The variables of a kernel on the head node of three."""
    with nodes.running(tmp_path_factory.mktemp("notebooks")) as running:
        own = {"RAY_ADDRESS": running.address, "RAY_API_SERVER_ADDRESS": running.dashboard}
        yield running.environment | own | {"PORT": str(free_port()), "PYTHONPATH": str(ROOT)}


@pytest.mark.slow
def test_the_notebooks_run_from_top_to_bottom_on_three_nodes(cluster: dict[str, str]) -> None:
    drawn = {path.stem: pictures(executed(path, cluster)) for path in NOTEBOOKS}
    assert drawn == PICTURES


def executed(path: Path, variables: dict[str, str]) -> Any:
    """The notebook with its outputs; its endpoint listens on a port of its own."""
    book, moved = read(path), f'{EXPERIMENT}, "serve.port={variables["PORT"]}"'
    for cell in book.cells:
        cell.source = cell.source.replace(EXPERIMENT, moved)
    client = NotebookClient(
        book, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}
    )
    client.execute(env=variables)
    return book


def pictures(book: Any) -> int:
    outputs = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    return sum("image/svg+xml" in output.get("data", {}) for output in outputs)
