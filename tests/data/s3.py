"""A folder as an S3 bucket on loopback: enough of the protocol to list and read it."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit


@contextlib.contextmanager
def bucket(folder: Path, name: str = "bucket") -> Iterator[str]:
    """The address of a server whose bucket `name` holds the files of `folder`."""
    handler = type("Handler", (_Handler,), {"folder": folder, "bucket": name})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    folder: Path
    bucket: str
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        path = self._path()
        if path is None or not path.is_file():
            self._answer(404, b"")
        else:
            self._answer(200, b"", length=path.stat().st_size)

    def do_GET(self) -> None:
        path = self._path()
        if path is None:
            self._answer(200, self._listing().encode())
        elif not path.is_file():
            self._answer(404, b"")
        else:
            content = path.read_bytes()
            first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
            self._answer(206, content[int(first) : int(last) + 1 if last else None])

    def _path(self) -> Path | None:
        key = unquote(urlsplit(self.path).path).removeprefix(f"/{self.bucket}").strip("/")
        return self.folder / key if key else None

    def _listing(self) -> str:
        prefix = parse_qs(urlsplit(self.path).query).get("prefix", [""])[0]
        files = {path.relative_to(self.folder).as_posix(): path for path in self.folder.rglob("*") if path.is_file()}
        found = [
            f"<Contents><Key>{key}</Key><Size>{path.stat().st_size}</Size>"
            "<LastModified>2020-01-01T00:00:00.000Z</LastModified></Contents>"
            for key, path in sorted(files.items())
            if key.startswith(prefix)
        ]
        return (
            f'<?xml version="1.0"?><ListBucketResult><KeyCount>{len(found)}</KeyCount><IsTruncated>false</IsTruncated>'
            f"{''.join(found)}</ListBucketResult>"
        )

    def _answer(self, status: int, content: bytes, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.send_header("Last-Modified", "Wed, 01 Jan 2020 00:00:00 GMT")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing: the test's output is its own."""
