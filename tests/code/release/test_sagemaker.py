"""A version on SageMaker: registered, deployed, shifted and rolled back, each command safe to repeat. moto, not AWS."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from tests.code.release.aws import control_plane, forget
from workbench.errors import ConfigError, EnvironmentFault
from workbench.release import sagemaker
from workbench.release.sagemaker import Clients
from workbench.release.sagemaker_config import SageMakerConfig

ABOUT = SageMakerConfig(image="1.dkr.ecr/workbench:1", role="arn:aws:iam::123456789012:role/endpoint", timeout_s=5)
GROUP = "payments"


@pytest.fixture(scope="module")
def plane() -> Iterator[dict[str, str]]:
    with control_plane() as told:
        yield told


@pytest.fixture
def aws(plane: dict[str, str]) -> Iterator[Clients]:
    asked = dataclasses.replace(sagemaker.clients(), poll_s=0.01)
    asked.s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    yield asked
    forget(plane)


def put(aws: Clients, version: str, **changed: float) -> sagemaker.Weights:
    about = dataclasses.replace(ABOUT, **changed)
    package = sagemaker.register(aws, GROUP, version, f"s3://bucket/{version}/model.tar.gz", about)
    model = sagemaker.create_model(aws, GROUP, package, {"WORKBENCH_VERIFYING_KEY": "00"}, about)
    return sagemaker.deploy(aws, GROUP, version, model, about)


def test_a_version_is_registered_once_with_what_says_which_it_is(aws: Clients) -> None:
    uri = "s3://bucket/once/model.tar.gz"
    first, again = (sagemaker.register(aws, "once", "v1", uri, ABOUT) for _ in range(2))
    other = sagemaker.register(aws, "once", "v2", uri, ABOUT)
    assert first == again != other
    said = aws.sagemaker.describe_model_package(ModelPackageName=first)
    assert said["ModelApprovalStatus"] == "Approved"
    assert said["InferenceSpecification"]["Containers"][0]["ModelDataUrl"] == uri


def test_the_first_version_gets_every_request(aws: Clients) -> None:
    assert put(aws, "v1") == {"v1": 1.0}
    assert put(aws, "v1") == {"v1": 1.0}


def test_a_second_version_gets_its_share_and_more_by_shifts(aws: Clients) -> None:
    put(aws, "v1")
    assert put(aws, "v2", weight=0.1) == {"v1": 0.9, "v2": 0.1}
    assert sagemaker.shift(aws, GROUP, 0.5, ABOUT) == {"v1": 0.5, "v2": 0.5}
    assert sagemaker.shift(aws, GROUP, 1.0, ABOUT) == {"v2": 1.0, "v1": 0.0}


def test_the_way_back_is_a_shift_of_weights(aws: Clients) -> None:
    put(aws, "v1")
    assert put(aws, "v2") == {"v2": 1.0, "v1": 0.0}
    assert sagemaker.shift(aws, GROUP, 0.0, ABOUT) == {"v1": 1.0, "v2": 0.0}


def test_the_third_version_stands_beside_the_one_with_most_requests(aws: Clients) -> None:
    put(aws, "v1")
    put(aws, "v2")
    assert put(aws, "v3", weight=0.25) == {"v2": 0.75, "v3": 0.25}


def test_settling_leaves_the_version_with_most_requests_alone(aws: Clients) -> None:
    put(aws, "v1")
    put(aws, "v2", weight=0.2)
    assert sagemaker.settle(aws, GROUP, ABOUT) == {"v1": 1.0}
    assert sagemaker.settle(aws, GROUP, ABOUT) == {"v1": 1.0}


def test_one_version_alone_has_no_weights_to_shift(aws: Clients) -> None:
    put(aws, "v1")
    with pytest.raises(ConfigError, match="serves v-v1: no two versions to share requests"):
        sagemaker.shift(aws, GROUP, 0.5, ABOUT)
    with pytest.raises(ConfigError, match="serves nothing"):
        sagemaker.shift(aws, "nowhere", 0.5, ABOUT)


def test_an_endpoint_that_fails_is_told_with_its_reason(aws: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    put(aws, "v1")
    failed = {"EndpointStatus": "Failed", "FailureReason": "no /ping", "ProductionVariants": []}
    monkeypatch.setattr(aws.sagemaker, "describe_endpoint", lambda **_: failed)
    with pytest.raises(EnvironmentFault, match=r"payments is Failed, without the version: no /ping\. See its log"):
        sagemaker._wait(aws, GROUP, None, 5)


def test_an_update_that_aws_took_back_is_no_success(aws: Clients) -> None:
    put(aws, "v1")
    with pytest.raises(EnvironmentFault, match="payments is InService, without the version"):
        sagemaker._wait(aws, GROUP, "another", 5)


def test_an_endpoint_that_takes_too_long_is_told(aws: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws.sagemaker, "describe_endpoint", lambda **_: {"EndpointStatus": "Creating"})
    with pytest.raises(EnvironmentFault, match=r"Creating after 0 s.*raise sagemaker\.timeout_s"):
        sagemaker._wait(aws, GROUP, None, 0)


def test_a_package_is_uploaded_once(aws: Clients, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"first")
    uri = "s3://bucket/p/model.tar.gz"
    assert not sagemaker.exists(aws, uri)
    sagemaker.upload(aws, tmp_path / "a", uri, None)
    (tmp_path / "a").write_bytes(b"second")
    sagemaker.upload(aws, tmp_path / "a", uri, None)
    assert aws.s3.get_object(Bucket="bucket", Key="p/model.tar.gz")["Body"].read() == b"first"


def test_what_aws_refuses_is_one_sentence(aws: Clients, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(EnvironmentFault, match=r"writing s3://nobucket/a: .*NoSuchBucket"):
        sagemaker.upload(aws, tmp_path / "a", "s3://nobucket/a", None)
    with pytest.raises(EnvironmentFault, match="ResourceNotFoundException"):
        sagemaker.secret("nothing")


def test_a_secret_holds_our_keys_and_no_others(aws: Clients) -> None:
    secrets = boto3.client("secretsmanager")
    secrets.create_secret(Name="keys", SecretString=json.dumps({"WORKBENCH_PSEUDONYM_KEY": "11"}))
    assert sagemaker.secret("keys") == {"WORKBENCH_PSEUDONYM_KEY": "11"}
    for number, text in enumerate(("[]", "no json", '{"LD_PRELOAD": "x"}')):
        secrets.create_secret(Name=f"bad{number}", SecretString=text)
        with pytest.raises(ConfigError, match=r"must be a JSON object of WORKBENCH_SIGNING_KEY") as caught:
            sagemaker.secret(f"bad{number}")
        assert "LD_PRELOAD" not in str(caught.value)


def test_no_region_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(EnvironmentFault, match=r"no AWS region is set\. Set AWS_REGION"):
        sagemaker.clients()
