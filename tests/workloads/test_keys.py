"""Keys as an operator handles them: what is printed names files, never a key; what was done is in the audit log."""

from pathlib import Path

import pytest

from workbench.config import Config
from workbench.errors import ConfigError
from workbench.governance import audit as audit_log
from workloads import door, keys

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def cfg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.delenv("WORKBENCH_API_KEY", raising=False)
    found = door.composed([])
    found.keys.folder, found.serve.journal = str(tmp_path / "keys"), str(tmp_path / "journal")
    return found


def act(cfg: Config, action: str, client: str | None = "shop", **more: str | float) -> None:
    cfg.keys.action, cfg.keys.client = action, client
    for name, value in more.items():
        setattr(cfg.keys, name, value)
    keys.run(cfg)


def logged(cfg: Config) -> list[tuple[str, str]]:
    found = audit_log.lines(Path(cfg.serve.journal) / audit_log.FOLDER)
    return [(one["act"], one["client"]) for one in found if one["act"] != "begin"]


def test_a_key_goes_into_a_file_and_onto_no_screen(cfg: Config, capsys: Capture) -> None:
    act(cfg, "add", role="scorer")
    told = capsys.readouterr()
    path = Path(told.out.strip())
    key = path.read_text()
    assert key.startswith("wb_")
    assert key not in told.out + told.err
    assert logged(cfg) == [("keys.add", "shop")]
    assert all(key.split("_")[2] not in one.read_text() for one in Path(cfg.serve.journal).rglob("*.audit"))


def test_the_list_says_who_has_what_and_until_when(cfg: Config, capsys: Capture) -> None:
    cfg.serve.access.default_role = "admin"
    act(cfg, "add", role="scorer", days=1)
    act(cfg, "add", "lab", role="analyst", days=1)
    act(cfg, "rotate")
    act(cfg, "revoke", "lab")
    capsys.readouterr()
    act(cfg, "list", None)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert [(row[0], *row[2:4]) for row in rows] == [
        ("shop", "scorer", "valid"), ("lab", "analyst", "revoked"), ("shop", "scorer", "valid"),
    ]  # fmt: skip
    assert logged(cfg) == [
        ("keys.add", "shop"), ("keys.add", "lab"), ("keys.rotate", "shop"), ("keys.revoke", "lab"),
    ]  # fmt: skip


def test_the_key_of_the_first_start_is_listed_too(cfg: Config, capsys: Capture) -> None:
    keys.Register(cfg.keys.folder).secrets.api()
    act(cfg, "list", None)
    assert capsys.readouterr().out.splitlines()[1].split()[:4] == ["default", "first", "admin", "valid"]
    act(cfg, "rotate", "default")
    assert capsys.readouterr().out.strip() == f"{cfg.keys.folder}/api.key"


def test_what_is_missing_is_told_at_once(cfg: Config) -> None:
    with pytest.raises(ConfigError, match=r"needs keys\.client") as caught:
        act(cfg, "add", None)
    assert "keys.role=None is no role. Use one of: admin, analyst, feedback, metrics, operator, scorer." in str(
        caught.value
    )
    assert not Path(cfg.keys.folder).exists()
