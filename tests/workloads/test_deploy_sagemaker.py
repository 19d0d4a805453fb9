"""`deploy target=sagemaker` from the loop's own version to an answer through AWS's client. moto, not AWS."""

import contextlib
import json
import signal
import subprocess
import sys
import tarfile
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.code.release.aws import control_plane
from tests.loop import commands
from tests.workloads.test_sagemaker import answers, environment
from workbench.config import Config
from workbench.data.store import Store
from workbench.release import ledger
from workloads import deploy, door

EVENT = {
    "transaction_id": 9_999_999, "event_time": "2018-08-22T09:12:41Z", "customer_id": 59, "terminal_id": 31,
    "amount_minor": 5716,
}  # fmt: skip
WORDS = (
    *commands.SMOKE, "tracker=disabled", "target=sagemaker", "sagemaker.image=1.dkr.ecr/w:1",
    "sagemaker.role=arn:aws:iam::123456789012:role/endpoint", "sagemaker.packages=s3://bucket/models",
)  # fmt: skip


@pytest.fixture
def aws() -> Iterator[Any]:
    with control_plane():
        where = {"LocationConstraint": "eu-central-1"}
        boto3.client("s3").create_bucket(Bucket="bucket", CreateBucketConfiguration=where)
        yield boto3.client("sagemaker")


@pytest.fixture
def cfg(first: object, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The config that the loop's one run had, with the other target."""
    for name in ("WORKBENCH_STORE", "WORKBENCH_KEYS", "WORKBENCH_JOURNAL"):
        monkeypatch.setenv(name, str(folder / name.lower()))
    return door.composed(WORDS)


@contextlib.contextmanager
def container(ml: Path, port: int, variables: dict[str, str]) -> Iterator[None]:
    """What the host starts: `serve`, with the model's own environment."""
    told = environment(ml, SAGEMAKER_BIND_TO_PORT=str(port), **variables)
    process = subprocess.Popen([sys.executable, "-m", "workloads.sagemaker", "serve"], cwd=commands.ROOT, env=told)
    try:
        assert commands.wait_until(lambda: answers(port) or process.poll() is not None, 60)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


@contextlib.contextmanager
def runtime(port: int) -> Iterator[Any]:
    """AWS's client of an endpoint, whose requests reach the container as the host would hand them on."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept = {name: self.headers[name] for name in ("Content-Type", "X-Amzn-SageMaker-Custom-Attributes")}
            headers = {name: value for name, value in kept.items() if value}
            asked = urllib.request.Request(f"http://127.0.0.1:{port}/invocations", body, headers)
            with urllib.request.urlopen(asked, timeout=10) as answer:
                said = answer.read()
            self.send_response(200)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield boto3.client("sagemaker-runtime", endpoint_url=f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.slow
def test_a_champion_is_packed_registered_deployed_and_answers(aws: Any, cfg: Config, tmp_path: Path) -> None:
    version = deploy.run(cfg)
    assert deploy.run(cfg).key == version.key, "repeated, it finds what it made"
    assert ledger.live(Store(cfg.storage.root), "sagemaker:smoke") == version.key
    (model,) = aws.list_models()["Models"]
    said = aws.describe_model(ModelName=model["ModelName"])["PrimaryContainer"]
    about = aws.describe_model_package(ModelPackageName=said["ModelPackageName"])["InferenceSpecification"]
    bucket, _, key = about["Containers"][0]["ModelDataUrl"].removeprefix("s3://").partition("/")
    boto3.client("s3").download_file(bucket, key, str(tmp_path / "model.tar.gz"))
    with tarfile.open(tmp_path / "model.tar.gz") as tar:
        tar.extractall(tmp_path / "ml" / "model", filter="data")
    port = commands.free_port()
    with container(tmp_path / "ml", port, said["Environment"]), runtime(port) as client:
        answer = client.invoke_endpoint(EndpointName="smoke", ContentType="application/json", Body=json.dumps(EVENT))
        decided = json.load(answer["Body"])
        label = {"labels": [{"transaction_id": 9_999_999, "label": 1, "known_time": "2018-09-01T00:00:00Z"}]}
        told = client.invoke_endpoint(
            EndpointName="smoke",
            ContentType="application/json",
            Body=json.dumps(label),
            CustomAttributes="/v1/feedback",
        )
    assert decided["model_version"] == version.key
    assert 0 < decided["score"] < 1
    assert json.load(told["Body"]) == {"accepted": 1, "in_feature_state": 1}
    assert set(said["Environment"]) == {"WORKBENCH_VERIFYING_KEY"}, "no secret"


@pytest.mark.slow
def test_the_way_back_is_written_to_the_ledger(aws: Any, cfg: Config) -> None:
    store = Store(cfg.storage.root)
    version = deploy.run(cfg)
    variant = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1, "InitialVariantWeight": 1.0}
    (model,) = aws.list_models()["Models"]
    variants = [
        {"VariantName": f"v-{version.key}", **variant, "ModelName": model["ModelName"], "InitialVariantWeight": 0.0},
        {"VariantName": "v-newer", **variant, "ModelName": model["ModelName"]},
    ]
    aws.create_endpoint_config(EndpointConfigName="two", ProductionVariants=variants)
    aws.update_endpoint(EndpointName="smoke", EndpointConfigName="two")
    ledger.release(store, "sagemaker:smoke", "newer", "test")
    assert deploy.run(door.composed([*WORDS, "sagemaker.action=rollback"])).key == version.key
    assert ledger.live(store, "sagemaker:smoke") == version.key
    weights = aws.describe_endpoint(EndpointName="smoke")["ProductionVariants"]
    assert {one["VariantName"]: one["CurrentWeight"] for one in weights} == {f"v-{version.key}": 1.0, "v-newer": 0.0}
