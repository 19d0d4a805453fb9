"""The verbs of the Makefile that remove something remove no more than they say."""

import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).resolve().parents[2] / "Makefile"


def clean(folder: Path) -> subprocess.CompletedProcess[str]:
    command = ["make", "-f", str(MAKEFILE), "clean"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal as an endpoint leaves it whose records are all in the tables, beside a store."""
    folder = tmp_path / ".workbench" / "journal" / "payments-1"
    folder.mkdir(parents=True)
    (folder / "predictions-1.jsonl").touch()
    (tmp_path / "store").mkdir()
    return folder


@pytest.mark.parametrize("name", ["feedback-1.jsonl", "predictions-1.unreadable"])
def test_clean_refuses_while_the_journal_holds_what_no_table_has(journal: Path, tmp_path: Path, name: str) -> None:
    (journal / name).write_text("{}\n")
    done = clean(tmp_path)
    assert done.returncode != 0
    assert name in done.stdout and "Run make serve once" in done.stdout
    assert (journal / name).read_text() == "{}\n" and (tmp_path / "store").exists()


def test_clean_removes_store_and_journal_when_all_is_in_the_tables(journal: Path, tmp_path: Path) -> None:
    assert clean(tmp_path).returncode == 0
    assert list(tmp_path.iterdir()) == []
    assert clean(tmp_path).returncode == 0, "and where there is nothing"
