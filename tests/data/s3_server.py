"""A server of S3's whole protocol on loopback (moto's): conditional writes, listings in pages, multipart uploads."""

import contextlib
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from unittest import mock

import boto3

from tests.loop import commands

BUCKET, SECRET = "bucket", "never-to-be-shown"


@contextlib.contextmanager
def running() -> Iterator[dict[str, str]]:
    """The variables by which every client of a process finds an empty bucket there."""
    port = commands.free_port()
    address = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert commands.wait_until(lambda: _answers(address), 60)
        boto3.client(
            "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key=SECRET
        ).create_bucket(Bucket=BUCKET)
        yield variables(address)
    finally:
        server.terminate()
        server.wait(20)


def variables(address: str) -> dict[str, str]:
    """What Arrow's, deltalake's and Amazon's own client each read."""
    region = dict.fromkeys(("AWS_REGION", "AWS_DEFAULT_REGION"), "us-east-1")
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": SECRET}
    return {**region, **keys, "AWS_ENDPOINT_URL": address, "AWS_ALLOW_HTTP": "true"}


@contextlib.contextmanager
def here() -> Iterator[str]:
    """The URI of an empty bucket that this process may use."""
    with running() as found, mock.patch.dict(os.environ, found):
        yield f"s3://{BUCKET}"


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/moto-api/", timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False
