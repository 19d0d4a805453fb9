"""What was written stays as it was written, or it is found out."""

import errno
import json
import os
from pathlib import Path

import pytest

from workbench.errors import EnvironmentFault
from workbench.governance import audit
from workbench.governance.audit import AuditLog


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    return AuditLog(str(tmp_path), "small", 10_000)


def written(log: AuditLog, lines: int = 3) -> Path:
    for number in range(lines):
        log.write(act="refused", client="shop", number=number)
    return audit.files(log.folder)[-1]


def test_a_line_says_when_and_what_and_is_there_at_once(log: AuditLog) -> None:
    path = written(log, 1)
    begin, line = (json.loads(text) for text in path.read_text().splitlines())
    assert (begin["act"], line["act"], line["client"], line["number"]) == ("begin", "refused", "shop", 0)
    assert line["at"].endswith("+00:00")
    assert audit.lines(log.folder) == [begin, line]


def test_no_file_is_made_before_there_is_something_to_say(log: AuditLog) -> None:
    assert (audit.files(log.folder), audit.lines(log.folder), list(audit.faults(log.folder))) == ([], [], [])


def test_only_its_owner_reads_it_and_it_can_only_grow(log: AuditLog) -> None:
    path = written(log)
    assert path.stat().st_mode & 0o777 == 0o600
    flags = int(Path(f"/proc/self/fdinfo/{log._file}").read_text().split("flags:")[1].split()[0], 8)
    assert flags & os.O_APPEND


@pytest.mark.parametrize("change", ["edit", "delete", "swap", "insert"])
def test_what_is_changed_afterwards_is_found(log: AuditLog, change: str) -> None:
    path = written(log, 4)
    assert list(audit.faults(log.folder)) == []
    lines = path.read_text().splitlines(keepends=True)
    if change == "edit":
        lines[2] = lines[2].replace("shop", "stop")
    elif change == "delete":
        del lines[2]
    elif change == "swap":
        lines[2], lines[3] = lines[3], lines[2]
    else:
        lines.insert(2, lines[1])
    path.write_text("".join(lines))
    assert any("does not follow the line before it" in one for one in audit.faults(log.folder))


def test_a_full_file_is_followed_by_another_that_names_it(log: AuditLog) -> None:
    written(log, 200)
    found = audit.files(log.folder)
    assert len(found) > 2
    assert [one["number"] for one in audit.lines(log.folder) if "number" in one] == list(range(200))
    assert list(audit.faults(log.folder)) == []
    found[1].unlink()
    assert any("is missing or ends otherwise" in one for one in audit.faults(log.folder))


def test_a_line_that_a_killed_process_half_wrote_is_left_out(log: AuditLog) -> None:
    path = written(log, 2)
    with path.open("a") as file:
        file.write('{"at": "2026')
    assert len(audit.lines(log.folder)) == 3
    assert list(audit.faults(log.folder)) == []


def test_a_line_that_the_disk_took_in_part_spoils_no_other(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    log.write(act="one")
    whole = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda file, line: whole(file, line[:10]))
        with pytest.raises(OSError, match="only a part"):
            log.write(act="two")
    log.write(act="three")
    assert [one["act"] for one in audit.lines(log.folder)] == ["begin", "one", "begin", "three"]
    assert list(audit.faults(log.folder)) == []


@pytest.mark.parametrize("taken", [10, 0], ids=["a part", "nothing"])
def test_a_disk_that_stays_full_breaks_no_chain_and_leaves_no_empty_files(
    log: AuditLog, monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    """The first refused line ends its file, the others would each begin one."""
    log.write(act="one")
    whole = os.write

    def full(file: int, line: bytes) -> int:
        if not taken:
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(file, line[:taken])

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        for _ in range(3):
            with pytest.raises(OSError, match=r"only a part|No space left"):
                log.write(act="refused")
    log.write(act="two")
    assert [one["act"] for one in audit.lines(log.folder)] == ["begin", "one", "begin", "two"]
    assert list(audit.faults(log.folder)) == []
    first, _ = audit.files(log.folder)
    first.unlink()
    assert any(f"{first.name}, is missing or ends otherwise" in one for one in audit.faults(log.folder))


def test_a_full_file_that_no_other_can_follow_yet_is_followed_later(
    log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log._limit = 0  # each line would begin a file
    log.write(act="one")
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda *_: 0)
        with pytest.raises(OSError, match="only a part"):
            log.write(act="refused")
    log.write(act="two")
    assert [one["act"] for one in audit.lines(log.folder)] == ["begin", "one", "begin", "two"]
    first, _ = audit.files(log.folder)
    first.unlink()
    assert any("is missing" in one for one in audit.faults(log.folder))


def test_a_line_that_is_none_is_told(log: AuditLog) -> None:
    path = written(log, 1)
    path.write_text(path.read_text() + "not json\n")
    with pytest.raises(EnvironmentFault, match="was altered"):
        audit.lines(log.folder)


def test_two_writers_have_files_of_their_own(tmp_path: Path) -> None:
    for number in range(2):
        AuditLog(str(tmp_path), "small", 10_000).write(act="refused", number=number)
    assert len(audit.files(tmp_path / audit.FOLDER)) == 2
    assert list(audit.faults(tmp_path / audit.FOLDER)) == []
