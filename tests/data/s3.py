"""A folder as an S3 bucket on loopback: enough of the protocol to list it, and to read, write and delete objects."""

import contextlib
import re
import secrets
import shutil
import threading
from collections.abc import Iterator
from html import unescape
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
        if path is None:
            self._answer(200, b"")  # the bucket is there
        elif not path.is_file():
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

    def do_PUT(self) -> None:
        asked, body = self._asked(), self._body()
        if "uploadId" in asked:
            path = self._upload(asked["uploadId"]) / f"{int(asked['partNumber']):05}"
        else:
            path = self.folder / self._key()
        if self._key().endswith("/"):  # a folder, as clients mark it
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}.draft")
            draft.write_bytes(body)
            draft.replace(path)
        self._answer(200, b"", ETag='"x"')

    def do_POST(self) -> None:
        asked, body = self._asked(), self._body()
        if "uploads" in asked:
            number = secrets.token_hex(8)
            self._upload(number).mkdir(parents=True)
            self._answer(
                200,
                f"<InitiateMultipartUploadResult><UploadId>{number}</UploadId></InitiateMultipartUploadResult>".encode(),
            )
        elif "uploadId" in asked:
            self._complete(self._upload(asked["uploadId"]))
        else:
            for key in re.findall(r"<Key>(.*?)</Key>", body.decode()):
                self._remove(unescape(key))
            self._answer(200, b"<DeleteResult/>")

    def do_DELETE(self) -> None:
        self._remove(self._key())
        self._answer(204, b"")

    def _complete(self, upload: Path) -> None:
        path = self.folder / self._key()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(part.read_bytes() for part in sorted(upload.iterdir())))
        shutil.rmtree(upload)
        self._answer(200, b'<CompleteMultipartUploadResult><ETag>"x"</ETag></CompleteMultipartUploadResult>')

    def _remove(self, key: str) -> None:
        path = self.folder / key
        if path.is_dir():
            with contextlib.suppress(OSError):  # it is not empty: in a bucket only its mark goes
                path.rmdir()
        else:
            path.unlink(missing_ok=True)

    def _upload(self, number: str) -> Path:
        return self.folder.with_name(f"{self.folder.name}.uploads") / number

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self._chunks()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return _decoded(body) if "x-amz-decoded-content-length" in self.headers else body

    def _chunks(self) -> bytes:
        pieces = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _asked(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.path).query, True).items()}

    def _key(self) -> str:
        return unquote(urlsplit(self.path).path).removeprefix(f"/{self.bucket}").removeprefix("/")

    def _path(self) -> Path | None:
        key = self._key().strip("/")
        return self.folder / key if key else None

    def _listing(self) -> str:
        prefix, delimiter = (self._asked().get(name, "") for name in ("prefix", "delimiter"))
        files = {path.relative_to(self.folder).as_posix(): path for path in self.folder.rglob("*") if path.is_file()}
        found, folders = [], set()
        for key, path in sorted(files.items()):
            rest = key.removeprefix(prefix)
            if not key.startswith(prefix) or key.endswith(".draft"):
                continue
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.partition(delimiter)[0] + delimiter)
                continue
            found.append(
                f"<Contents><Key>{key}</Key><Size>{path.stat().st_size}</Size>"
                "<LastModified>2020-01-01T00:00:00.000Z</LastModified></Contents>"
            )
        common = "".join(f"<CommonPrefixes><Prefix>{one}</Prefix></CommonPrefixes>" for one in sorted(folders))
        return (
            f'<?xml version="1.0"?><ListBucketResult><KeyCount>{len(found) + len(folders)}</KeyCount>'
            f"<IsTruncated>false</IsTruncated>{''.join(found)}{common}</ListBucketResult>"
        )

    def _answer(self, status: int, content: bytes, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.send_header("Last-Modified", "Wed, 01 Jan 2020 00:00:00 GMT")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing: the test's output is its own."""


def _decoded(body: bytes) -> bytes:
    """The content of a body in S3's own chunks, each after a line with its size; checksums follow the last."""
    pieces, at = [], 0
    while True:
        end = body.index(b"\r\n", at)
        size = int(body[at:end].split(b";")[0], 16)
        if not size:
            return b"".join(pieces)
        pieces.append(body[end + 2 : end + 2 + size])
        at = end + 2 + size + 2
