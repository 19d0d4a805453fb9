"""The diagnosis of a whole machine: one table, one record, and an exit code that says whether work can go on."""

import json
from pathlib import Path

import pytest

from workloads import doctor

pytestmark = pytest.mark.usefixtures("ray_session")


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "no_token"))
    monkeypatch.setattr(doctor.machine, "FULL", 2.0)  # however full this disk is
    return ["doctor", "experiment=smoke", f"storage.root={tmp_path}/store", f"output.json={tmp_path}/out.json",
            f"keys.folder={tmp_path}/keys"]  # fmt: skip


def ended(words: list[str], monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as end:
        doctor.main()
    return end.value.code


def test_a_machine_that_is_well_is_told_so_and_nothing_is_left_behind(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(words, monkeypatch) == 0
    told = json.loads((tmp_path / "out.json").read_text())
    found = {one["what"]: one for one in told["figures"]["findings"]}
    assert {"Python", "packages", "disk", "secrets", "ports", "storage", "clocks", "cluster", "room", "GPU"} <= set(
        found
    )
    assert (found["nodes"]["said"], told["figures"]["wrong"]) == ("1 answered", 0)
    assert "Python         ok" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "store").rglob("*") if path.is_file()] == []
    assert not (tmp_path / "keys").exists(), "a diagnosis makes no key"


def test_what_is_wrong_is_told_with_what_helps_and_ends_with_3(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = [word for word in words if not word.startswith("storage.root")]
    assert ended([*elsewhere, "scaling=gpu", "storage.root=/sys/store"], monkeypatch) == 3
    said = capsys.readouterr()
    assert "GPU            WRONG  scaling=gpu asks for 1, and Ray has 0" in said.out
    assert "storage        WRONG  /sys/store" in said.out
    assert "3 of these are wrong" in said.err, "and there is no room for such workers"
