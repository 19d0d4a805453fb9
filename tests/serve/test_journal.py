"""What was acknowledged survives the process, and comes into its table once and whole."""

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake.exceptions import DeltaError

from serve import journal as journals
from serve.journal import Journal, unmoved
from workbench.data import labels
from workbench.data.store import Store
from workbench.errors import EnvironmentFault
from workbench.feedback import prediction_log

ROOT = Path(__file__).resolve().parents[2]
SECOND = 1_000_000
ODD = 'a "quoted" \\ text,\nin two lines \u2028 \u00e4\U0001f600 \x00\x7f'


def record(number: int, **changed: Any) -> dict[str, Any]:
    """A prediction, as the service writes it."""
    return {
        "request_id": f"r{number}", "id": str(number), "event_time": number * SECOND, "received_at": number,
        "arrival": number, "as_of": number, "history": "h1",
        "entities": ["a" * 32], "event": "{}", "features": [1.0, 2.5], "score": 0.25, "member_logits": [-1.0],
        "flagged": False, "model_version": "v1", "feature_view_version": "f1", "dimensions": "{}",
        "latency_us": 7, **changed,
    }  # fmt: skip


def told(number: int, **changed: Any) -> dict[str, Any]:
    """A late label, as the service writes it."""
    base = {"id": str(number), "label": 1, "scenario": None, "event_time": None, "known_time": SECOND, "recorded_at": 2}
    return {**base, **changed}


def lines(*paths: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in paths for line in path.read_bytes().splitlines()]


def released(journal: Journal) -> Iterator[Path]:
    return journals.released(journal.folder, journal.kind)


def closed(journal: Journal) -> list[Path]:
    journal.close_segment()
    return list(released(journal))


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def logged(store: Store) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = prediction_log.predictions(store, "app").read().sort_by("received_at").to_pylist()
    return rows


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "journal", "predictions")
    yield made
    os.close(made._file)


class TestAppending:
    def test_a_record_is_in_the_file_when_append_returns(self, journal: Journal) -> None:
        journal.append([record(1), record(2)])
        assert lines(journal._path) == [record(1), record(2)]
        journal.append([record(3)])
        assert lines(journal._path) == [record(1), record(2), record(3)]

    def test_an_odd_text_stays_on_one_line(self, journal: Journal) -> None:
        journal.append([record(1, event=ODD)])
        assert journal._path.read_bytes().count(b"\n") == 1
        assert lines(journal._path)[0]["event"] == ODD

    def test_only_the_owner_may_read(self, journal: Journal) -> None:
        assert stat.S_IMODE(journal._path.stat().st_mode) == 0o600
        assert stat.S_IMODE(journal.folder.stat().st_mode) == 0o700

    def test_appends_from_many_threads_are_all_there_once_while_segments_close(self, journal: Journal) -> None:
        threads, each, done = 8, 100, threading.Event()

        def work(thread: int) -> None:
            for number in range(each):
                journal.append([record(thread * each + number, event="x" * 500), record(-1)])

        def close_again_and_again() -> None:
            while not done.is_set():
                journal.close_segment()
                time.sleep(0.001)

        with ThreadPoolExecutor(threads + 1) as pool:
            closing = pool.submit(close_again_and_again)
            try:
                for one in [pool.submit(work, thread) for thread in range(threads)]:
                    one.result()
            finally:
                done.set()
            closing.result()
        segments = closed(journal)
        found = [int(one["id"]) for one in lines(*segments)]
        assert len(segments) > 1
        assert found[1::2] == [-1] * threads * each, "the records of one call stay together"
        assert sorted(found[::2]) == list(range(threads * each))
        for thread in range(threads):
            own = [number for number in found[::2] if number // each == thread]
            assert own == sorted(own), "the records of one thread keep their order"


class TestSegments:
    def test_an_empty_segment_is_not_closed(self, journal: Journal) -> None:
        before = journal._path
        assert closed(journal) == []
        assert journal._path == before

    def test_closed_segments_are_listed_oldest_first_and_get_nothing_more(self, journal: Journal) -> None:
        for number in range(3):
            journal.append([record(number)])
            journal.close_segment()
        journal.append([record(3)])
        assert [lines(path) for path in released(journal)] == [[record(n)] for n in range(3)]
        assert lines(journal._path) == [record(3)]

    def test_the_half_record_of_a_killed_process_is_cut_off_and_the_whole_ones_stay(self, tmp_path: Path) -> None:
        half = tmp_path / "predictions-00000000000000000001-0a.jsonl"
        half.write_text(json.dumps(record(1)) + "\n" + '{"id": "2", "sc')
        (tmp_path / "predictions-00000000000000000002-0b.jsonl").write_text('{"id": "3"')
        journal = Journal(tmp_path, "predictions")
        assert [lines(path) for path in released(journal)] == [[record(1)]]

    def test_segments_of_dead_processes_are_picked_up_and_empty_ones_removed(self, tmp_path: Path) -> None:
        for name, content in (("1-0a", json.dumps(record(1)) + "\n"), ("2-0b", ""), ("3-0c", json.dumps(record(3)))):
            (tmp_path / f"predictions-{name}.jsonl").write_text(content and content.strip() + "\n")
        (tmp_path / "feedback-4-0d.jsonl").write_text("{}\n")
        journal = Journal(tmp_path, "predictions")
        assert [path.stem for path in released(journal)] == ["predictions-1-0a", "predictions-3-0c"]
        assert not (tmp_path / "predictions-2-0b.jsonl").exists()
        assert (tmp_path / "feedback-4-0d.jsonl").exists()

    def test_a_segment_that_another_writes_or_moves_is_left_alone(self, tmp_path: Path) -> None:
        one, other = Journal(tmp_path, "predictions"), Journal(tmp_path, "predictions")
        one.append([record(1)])
        assert list(released(other)) == []
        one.close_segment()
        for segment in released(one):
            assert lines(segment) == [record(1)]
            assert list(released(other)) == [], "it is being moved"
        assert [lines(segment) for segment in released(other)] == [[record(1)]]

    def test_what_is_not_moved_yet_is_every_segment_that_holds_a_record(self, tmp_path: Path) -> None:
        one, other = Journal(tmp_path, "predictions"), Journal(tmp_path, "feedback")
        assert unmoved(tmp_path) == set()
        one.append([record(1)])
        other.append([told(1)])
        other.close_segment()
        assert len(unmoved(tmp_path)) == 2
        for segment in [*closed(one), *closed(other)]:
            segment.unlink()
        assert unmoved(tmp_path) == set()

    def test_two_kinds_in_one_folder_stay_apart(self, tmp_path: Path) -> None:
        one, other = Journal(tmp_path, "predictions"), Journal(tmp_path, "feedback")
        one.append([record(1)])
        other.append([told(1)])
        assert (lines(*closed(one)), lines(*closed(other))) == ([record(1)], [told(1)])


APPENDING = """
import sys
from pathlib import Path
from serve.journal import Journal
journal = Journal(Path(sys.argv[1]), "predictions")
for number in range(10**9):
    journal.append([{"id": str(number), "event": "x" * 2000}])
    print(number, flush=True)
"""
REFUSED = """
import resource, sys
from pathlib import Path
from serve.answers import Refusal
from serve.journal import Journal
journal = Journal(Path(sys.argv[1]), "predictions")
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))  # write(2): first short, then EFBIG
for number in range(100):
    try:
        journal.append([{"id": number, "part": part, "event": "x" * 100} for part in range(2)])
        print("taken", number)
    except Refusal as error:
        print("refused", number, error.status, error.headers)
    if number == 50:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
journal.close_segment()
"""


class TestFaults:
    def test_what_was_acknowledged_survives_sigkill(self, tmp_path: Path) -> None:
        with python(APPENDING, tmp_path) as writer:
            assert writer.stdout is not None
            acknowledged = [writer.stdout.readline().strip() for _ in range(200)]
            writer.send_signal(signal.SIGKILL)
            acknowledged += [line.strip() for line in writer.stdout if line.endswith("\n")]
        assert writer.returncode == -signal.SIGKILL
        (recovered,) = released(Journal(tmp_path, "predictions"))
        whole = recovered.read_bytes().split(b"\n")[:-1]  # the write that was interrupted was never acknowledged
        assert [json.loads(line)["id"] for line in whole][: len(acknowledged)] == acknowledged
        assert acknowledged == list(map(str, range(len(acknowledged))))

    def test_a_disk_that_refuses_gives_503_and_leaves_nothing_half_written(self, tmp_path: Path) -> None:
        with python(REFUSED, tmp_path) as writer:
            assert writer.stdout is not None
            said = [line.split(maxsplit=3) for line in writer.stdout.read().splitlines()]
        assert writer.returncode == 0
        taken = [int(number) for word, number, *_ in said if word == "taken"]
        assert taken == [0, 1, 2, 51, 52, 53, 54], "there is room again after the limit was raised"
        refused = {tuple(rest) for word, _, *rest in said if word == "refused"}
        assert refused == {("503", "{'retry-after': '5'}")}
        (segment,) = released(Journal(tmp_path, "predictions"))
        assert [(one["id"], one["part"]) for one in lines(segment)] == [(n, part) for n in taken for part in range(2)]


class TestMoving:
    def test_a_segment_becomes_rows_and_is_gone(self, journal: Journal, store: Store) -> None:
        journal.append([record(n) for n in range(3)])
        (segment,) = closed(journal)
        assert prediction_log.move_predictions(store, "app", segment) == 3
        assert list(released(journal)) == []
        assert [row["request_id"] for row in logged(store)] == ["r0", "r1", "r2"]

    def test_many_movers_of_one_folder_move_every_record_once(self, tmp_path: Path, store: Store) -> None:
        journals = [Journal(tmp_path, "predictions") for _ in range(4)]

        def move(journal: Journal) -> int:
            return sum(prediction_log.move_predictions(store, "app", segment) for segment in released(journal))

        for number in range(12):
            journals[number % 4].append([record(number)])
            journals[number % 4].close_segment()
        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(move, journals)) == 12
        assert [row["id"] for row in logged(store)] == [str(number) for number in range(12)]

    def test_moving_again_after_a_crash_before_the_unlink_changes_nothing(self, journal: Journal, store: Store) -> None:
        journal.append([record(1), record(2)])
        (segment,) = closed(journal)
        content = segment.read_bytes()
        for _ in range(3):
            segment.write_bytes(content)  # as a process leaves it that dies between append and unlink
            prediction_log.move_predictions(store, "app", segment)
        assert [row["id"] for row in logged(store)] == ["1", "2"]
        assert not segment.exists()

    def test_a_segment_of_a_killed_process_is_moved_under_the_name_it_had(self, tmp_path: Path, store: Store) -> None:
        first = Journal(tmp_path, "predictions")
        first.append([record(1)])
        content, name = first._path.read_bytes(), first._path.stem
        os.close(first._file)
        for _ in range(2):
            (tmp_path / f"{name}.jsonl").write_bytes(content)
            (left,) = released(Journal(tmp_path, "predictions"))
            assert left.stem == name
            prediction_log.move_predictions(store, "app", left)
        assert len(logged(store)) == 1

    def test_equal_records_of_two_segments_are_both_kept(self, journal: Journal, store: Store) -> None:
        for _ in range(2):
            journal.append([record(1)])
            journal.close_segment()
        for segment in released(journal):
            prediction_log.move_predictions(store, "app", segment)
        assert [row["id"] for row in logged(store)] == ["1", "1"]

    def test_labels_come_into_the_ledger_once(self, tmp_path: Path, store: Store) -> None:
        journal = Journal(tmp_path, "feedback")
        journal.append([told(1), told(2, label=0, scenario="late", event_time=5)])
        (segment,) = closed(journal)
        content = segment.read_bytes()
        for _ in range(2):
            segment.write_bytes(content)
            assert prediction_log.move_feedback(store, "raw", "number", pa.int64(), segment) == 2
        found = labels.read(store, "raw", channel="feedback")
        assert found["number"].to_pylist() == [1, 2]
        assert found.schema.field("number").type == pa.int64()
        assert [found[name].to_pylist() for name in ("label", "scenario")] == [[1, 0], [None, "late"]]
        assert found["event_time"].cast(pa.int64()).to_pylist() == [None, 5]
        assert set(found["source"].to_pylist()) == {"endpoint"}

    @pytest.mark.parametrize("identity", ["007", "a-1", ODD, "1e5", "true", "2020-01-01T00:00:00Z"])
    def test_a_text_id_stays_the_text_it_was(self, tmp_path: Path, store: Store, identity: str) -> None:
        journal = Journal(tmp_path, "feedback")
        journal.append([told(1, id=identity)])
        prediction_log.move_feedback(store, "raw", "order", pa.string(), closed(journal)[0])
        assert labels.read(store, "raw")["order"].to_pylist() == [identity]

    def test_numbers_texts_and_times_come_out_as_they_went_in(self, journal: Journal, store: Store) -> None:
        numbers = [0.1 + 0.2, -0.0, 5e-324, 1.7976931348623157e308, 2.0**53 + 2, 1 / 3]
        wanted = record(
            1, features=numbers, score=1 / 3, event=ODD, event_time=-1, received_at=253_402_300_799 * SECOND
        )
        journal.append([wanted])
        prediction_log.move_predictions(store, "app", closed(journal)[0])
        table = prediction_log.predictions(store, "app").read()
        times = [table[name].cast(pa.int64())[0].as_py() for name in ("event_time", "received_at")]
        assert times == [wanted["event_time"], wanted["received_at"]]
        (row,) = table.drop_columns(["event_time", "received_at"]).to_pylist()
        beside = {name: None for name in row if name not in wanted}
        assert row == {name: value for name, value in wanted.items() if name in row} | beside
        assert [value.hex() for value in row["features"]] == [value.hex() for value in numbers]

    def test_a_table_that_cannot_be_written_leaves_the_segment(self, journal: Journal, store: Store) -> None:
        journal.append([record(1)])
        (segment,) = closed(journal)
        blocked = Path(store.root) / "tables" / "predictions"
        blocked.parent.mkdir(parents=True)
        blocked.touch()  # a file where the table's folder must be
        with pytest.raises((EnvironmentFault, DeltaError)):
            prediction_log.move_predictions(store, "app", segment)
        assert lines(segment) == [record(1)]
        blocked.unlink()
        assert prediction_log.move_predictions(store, "app", segment) == 1

    def test_the_clock_is_the_wall_clock_in_microseconds(self) -> None:
        assert abs(prediction_log.now_us() - time.time_ns() // 1000) < SECOND
