"""A replica's journal is moved by a process beside it, which ends with it and is followed by another where it dies."""

import dataclasses
import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from serve import cores, moves_apart
from serve import moves as moving
from serve.journal import unmoved
from serve.moves import Moved, Target
from serve.moves_apart import MovesApart
from serve.replica import Replica
from serve.service import Service
from serve.settings import Settings
from tests.serve.asked import ROOT, logged, score, tell
from tests.serve.small import settings
from tests.serve.test_access import until
from workbench.data import labels
from workbench.data.store import Store
from workbench.errors import EnvironmentFault
from workbench.feedback import prediction_log

KILLED = """
import os, signal, sys
from pathlib import Path
from serve.moves import Target
from serve.moves_apart import MovesApart
from tests.serve.small import settings
from workbench.data.store import Store
folder = Path(sys.argv[1])
moves = MovesApart(Target.of(settings(Store(str(folder / "store")), folder)))
moves.round()
print(moves._process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


LONG = """
import time
from serve import moves_apart
moves_apart.Moves.one_by_one = lambda moves: [print("begun", flush=True), time.sleep(600)]
moves_apart.main()
"""
DIES = """
import os, pathlib, signal
from serve import moves_apart
pathlib.Path.unlink = lambda segment: os.kill(os.getpid(), signal.SIGKILL)
moves_apart.main()
"""
SLOW = "read target; read asked; for _ in 1 2 3 4; do sleep 0.7; echo '{\"records\":1}'; done; echo; exec sleep 600"


@pytest.fixture
def moves(service: Service) -> Iterator[MovesApart]:
    """Moves apart for a service that has none of its own."""
    apart = MovesApart(Target.of(service.settings))
    service.compactor.mover = apart
    yield apart
    apart.close()


def process(moves: MovesApart) -> int:
    assert moves._process
    return moves._process.pid


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_what_was_recorded_is_moved_by_a_process_that_takes_what_is_left(service: Service, moves: MovesApart) -> None:
    score(service, 1, 0)
    tell(service, 1, 1, 1)
    assert service.compact() == 2
    assert service.compact() == 0
    assert len(logged(service)) == 1
    assert labels.ledger(service.store, service.settings.raw_key).read().num_rows == 1
    assert not unmoved(service.settings.folder)
    assert os.sched_getscheduler(process(moves)) == os.SCHED_IDLE
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
    assert os.sched_getaffinity(process(moves)) == cores.LENT


def test_a_full_machine_that_leaves_it_no_time_gives_it_a_share_and_later_leaves_it_idle_again(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    moves = service.compactor.mover = MovesApart(Target.of(service.settings), patience_s=0.01)
    monkeypatch.setattr(moves_apart, "BUSY_S", 1.0)
    score(service, 1, 0)
    try:
        assert service.compact() == 1
        assert "they are at the priority of the answering" in caplog.text
        assert os.sched_getscheduler(process(moves)) == os.SCHED_OTHER
        assert until(lambda: moves.idle)
        moves._patience_s = 60.0
        assert service.compact() == 0
        assert os.sched_getscheduler(process(moves)) == os.SCHED_IDLE
    finally:
        moves.close()


def test_one_beside_a_replica_that_is_pinned_is_not(service: Service, moves: MovesApart) -> None:
    os.sched_setaffinity(0, {min(cores.LENT)})
    try:
        service.compact()
        assert os.sched_getaffinity(process(moves)) == cores.LENT
    finally:
        os.sched_setaffinity(0, cores.LENT)


def test_one_that_died_is_followed_by_another_and_nothing_is_lost(service: Service, moves: MovesApart) -> None:
    score(service, 1, 0)
    service.compact()
    first = process(moves)
    os.kill(first, signal.SIGKILL)
    score(service, 2, 1)
    with pytest.raises(EnvironmentFault, match=r"ended with -9: it is started again"):
        service.compact()
    assert service.compact() == 1
    assert len(logged(service)) == 2
    assert process(moves) != first
    assert gone(first)


@pytest.mark.slow
def test_one_that_dies_between_the_table_and_the_segment_leaves_its_records_there_once(
    service: Service, moves: MovesApart
) -> None:
    score(service, 1, 0)
    service.predictions.close_segment()
    with subprocess.Popen([sys.executable, "-c", DIES], cwd=ROOT, stdin=subprocess.PIPE, bufsize=0) as mover:
        assert mover.stdin
        mover.stdin.write(msgspec.json.encode(Target.of(service.settings)) + b"\n\n")
        assert mover.wait(120) == -signal.SIGKILL
    table = prediction_log.predictions(service.store, service.settings.log)
    assert table.read().num_rows == len(unmoved(service.settings.folder)) == 1
    assert service.compact() == 1
    assert not unmoved(service.settings.folder)
    assert table.read().num_rows == 1


def test_a_backlog_is_no_full_machine_as_long_as_segments_get_through() -> None:
    with subprocess.Popen(["sh", "-c", SLOW], bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as slow:
        assert slow.stdin
        slow.stdin.write(b"target\n")
        try:
            assert sum(moves_apart._asked(slow, 2.0), Moved()).records == 4
            with pytest.raises(TimeoutError):
                next(moves_apart._asked(slow, 0.1))
        finally:
            slow.kill()


@pytest.mark.slow
def test_a_store_that_takes_nothing_ends_the_round_with_its_name(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    moves = service.compactor.mover = MovesApart(Target.of(service.settings), patience_s=0.01)
    monkeypatch.setattr(moves_apart, "LONGEST_S", 0.01)
    score(service, 1, 0)
    try:
        with pytest.raises(EnvironmentFault, match=r"store took no segment of the journal in 0.01 s"):
            service.compact()
        assert unmoved(service.settings.folder)
        monkeypatch.undo()
        assert service.compact() == 1
    finally:
        moves.close()


def test_what_cannot_be_moved_is_told_and_what_cannot_be_read_set_aside(
    service: Service, moves: MovesApart, caplog: pytest.LogCaptureFixture
) -> None:
    folder = service.settings.folder
    (folder / "corrections-0-a.jsonl").write_text("{\n")
    score(service, 1, 0)
    table = Path(service.store.path("tables", "predictions"))
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_text("in the way")
    assert service.compact() == 0
    assert "the journal keeps its records, the tables could not take them" in caplog.text
    assert "corrections-0-a.jsonl cannot be read and is set aside" in caplog.text
    table.unlink()
    assert service.compact() == 1


def test_where_nothing_can_be_moved_the_door_is_shut_before_the_disk_is_full(
    given: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(dataclasses.replace(given, journal_limit_bytes=10))
    score(service, 1, 0)
    monkeypatch.setattr(service.compactor.mover, "round", lambda: (_ for _ in ()).throw(OSError("no process")))
    with pytest.raises(OSError, match="no process"):
        service.compact()
    assert service.compactor.full


def test_a_sandbox_that_gives_no_priorities_and_cores_has_its_journal_moved_all_the_same(
    service: Service, moves: MovesApart, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refused)
    monkeypatch.setattr(os, "sched_setaffinity", refused)
    score(service, 1, 0)
    assert service.compact() == 1
    assert os.getpriority(os.PRIO_PROCESS, process(moves)) == moves_apart.NICENESS


def test_the_last_move_is_made_here(service: Service, moves: MovesApart) -> None:
    service.compact()
    service.compactor.take_over()
    score(service, 1, 0)
    os.kill(process(moves), signal.SIGKILL)
    assert service.compact() == 1


def test_the_last_move_waits_for_none_that_is_under_way(service: Service, moves: MovesApart) -> None:
    service.compact()
    os.kill(process(moves), signal.SIGSTOP)  # it would take its ten seconds
    score(service, 1, 0)
    failed = list[BaseException]()

    def compact() -> None:
        try:
            service.compact()
        except EnvironmentFault as error:
            failed.append(error)

    under_way = threading.Thread(target=compact)
    under_way.start()
    assert until(service.compactor._compacting.locked)
    service.compactor.take_over()
    under_way.join()
    assert service.compact() == 1
    assert len(failed) == 1


def test_what_a_round_told_before_it_failed_is_told_by_the_next(
    service: Service, moves: MovesApart, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def half(*_: object) -> Iterator[Moved]:
        yield Moved(2, unreadable={"one": "why"})
        raise TimeoutError

    rounds = [moves_apart._asked, half]
    monkeypatch.setattr(moves_apart, "_asked", lambda *given: rounds.pop()(*given))  # noqa: PLW0108 - another each time
    score(service, 1, 0)
    assert service.compact() == 3
    assert "one cannot be read and is set aside" in caplog.text


def test_a_round_ends_after_a_while_with_one_of_each_kind_and_the_next_goes_on(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "ROUND_S", 0.0)
    for number in range(3):
        score(service, number + 1, number)
        service.predictions.close_segment()
    tell(service, 1, 1, 1)
    assert [service.compact() for _ in range(4)] == [2, 1, 1, 0]


def test_it_ends_with_whoever_started_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    assert until(lambda: gone(int(done.stdout)))


def test_it_ends_in_the_middle_of_a_round_once_nobody_is_there(service: Service) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LONG], cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as mover:
        assert mover.stdin
        assert mover.stderr
        mover.stdin.write(msgspec.json.encode(Target.of(service.settings)) + b"\n\n")
        mover.stdin.flush()
        try:
            assert b"begun\n" in iter(mover.stderr.readline, b"")
            mover.stdin.close()
            assert mover.wait(30) == 0
        finally:
            mover.kill()


def test_a_replica_has_one(store: Store, tmp_path: Path) -> None:
    replica = Replica(settings(store, tmp_path))
    replica.ended.set()
    gc.unfreeze()  # the other tests' objects
    assert isinstance(replica.service.compactor.mover, MovesApart)
