"""The audit log as a person reads it: what was done by whom, and whether anybody changed it."""

import json
from pathlib import Path

import pytest

from tests.serve import small
from workbench.config import Config
from workbench.data.store import Store
from workbench.errors import GateRefused
from workloads import audit, door, keys, releasing

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def cfg(tmp_path: Path) -> Config:
    found = door.composed([])
    found.keys.folder, found.serve.journal = str(tmp_path / "keys"), str(tmp_path / "journal")
    found.storage.root = str(tmp_path / "store")
    return found


def test_a_release_from_the_command_line_is_in_it(cfg: Config, tmp_path: Path, capsys: Capture) -> None:
    small.settings(Store(cfg.storage.root), tmp_path)
    cfg.release.action, cfg.release.version, cfg.release.reason = "promote", "v1", "the first"
    releasing.run(cfg, lambda _: None)
    capsys.readouterr()
    audit.run(cfg)
    (line,) = [one for one in map(json.loads, capsys.readouterr().out.splitlines()) if one["act"] != "begin"]
    assert (line["act"], line["version"], set(line)) == (
        "release.promote", "v1", {"at", "act", "by", "version", "previous"},
    )  # fmt: skip


def test_the_log_is_shown_and_a_change_of_it_refused(cfg: Config, capsys: Capture) -> None:
    cfg.keys.action, cfg.keys.client, cfg.keys.role = "add", "shop", "scorer"
    keys.run(cfg)
    capsys.readouterr()
    audit.run(cfg)
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["act"] for one in shown] == ["begin", "keys.add"]
    (path,) = Path(cfg.serve.journal).rglob("*.audit")
    path.write_text(path.read_text().replace("scorer", "admin"))
    with path.open("a") as file:
        file.write(path.read_text().splitlines()[0] + "\n")
    with pytest.raises(GateRefused, match="was altered"):
        audit.run(cfg)
