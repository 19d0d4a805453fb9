"""A store in a bucket: artifacts and tables as on a disk, and what is wrong with a bucket is told at once."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer

import pyarrow as pa
import pytest

from tests.data import s3_server
from workbench.data import snapshots
from workbench.data.store import Store
from workbench.data.tables import Table
from workbench.errors import EnvironmentFault

ROWS = pa.table({"id": [1, 2, 3]})


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with s3_server.here() as uri:
        yield uri


def test_artifacts_and_tables_in_a_bucket_are_what_they_are_on_a_disk(bucket: str) -> None:
    store = Store(f"{bucket}/a/store")
    made = snapshots.write(store, "raw", "k1", ROWS, parents={}, config={}, rows_per_file=2)
    assert (made.uri, store.keys("raw")) == (f"{bucket}/a/store/raw/k1", ["k1"])
    assert snapshots.read(Store(f"{bucket}/a/store").get("raw", "k1")) == ROWS
    table = Table(store, "labels/k1")
    assert (table.exists(), table.append(ROWS, "job", 1), table.append(ROWS, "job", 1)) == (False, True, False)
    assert table.read() == ROWS


def test_two_writers_of_one_table_in_a_bucket_both_have_their_rows(bucket: str) -> None:
    store = Store(f"{bucket}/b")
    writers = [threading.Thread(target=Table(store, "t").append, args=(ROWS, f"w{n}", 1)) for n in range(4)]
    for one in writers:
        one.start()
    for one in writers:
        one.join()
    assert Table(store, "t").read().num_rows == 4 * ROWS.num_rows, "each commit is a conditional put"


def test_a_table_is_looked_for_while_other_threads_run(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store, server = Store(f"{bucket}/c"), ThreadingHTTPServer(("127.0.0.1", 0), Empty)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    try:
        assert not Table(store, "t").exists()
        assert Empty.asked, "it is answered by threads of this process"
    finally:
        server.shutdown()
        server.server_close()


def test_a_bucket_that_is_not_there_is_named(bucket: str) -> None:
    with pytest.raises(EnvironmentFault, match=r"Bucket 'nowhere' not found.*correct storage.root"):
        Store("s3://nowhere/store").begin()


def test_a_bucket_that_may_not_be_read_is_told_with_its_remedy() -> None:
    server = HTTPServer(("127.0.0.1", 0), type("Closed", (BaseHTTPRequestHandler,), {"do_HEAD": refuse}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    root = f"s3://k:s@closed/store?endpoint_override=127.0.0.1:{server.server_port}&scheme=http&region=us-east-1"
    try:
        with pytest.raises(EnvironmentFault, match=r"cannot be looked into.*ACCESS_DENIED.*and the credentials"):
            Store(root)
    finally:
        server.shutdown()
        server.server_close()


def refuse(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(403)
    handler.send_header("Content-Length", "0")
    handler.end_headers()
    handler.log_message = lambda *_: None  # type: ignore[method-assign]


class Empty(BaseHTTPRequestHandler):
    """A bucket that holds nothing."""

    asked = 0
    LISTED = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"

    def do_GET(self) -> None:
        type(self).asked += 1
        body = self.LISTED if "list-type" in self.path else b""
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""
