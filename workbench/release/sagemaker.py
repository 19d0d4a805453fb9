"""A model version on SageMaker through boto3: package and model in its registry, an endpoint, weights, the way back.

Everything is named by what it is made of, so that a command that is repeated finds what it made and makes nothing
twice. Tested against moto, not against AWS (see deploy/containers.md).
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.digest import digest
from workbench.errors import ConfigError, EnvironmentFault
from workbench.progress import say
from workbench.release.sagemaker_config import SageMakerConfig

SECRETS = ("WORKBENCH_SIGNING_KEY", "WORKBENCH_PSEUDONYM_KEY", "WORKBENCH_REDIS_PASSWORD")
JSON = "application/json"
PREFIX = "v-"  # of a variant: the rest is the model version
BROKEN = ("Failed", "OutOfService", "UpdateRollbackFailed", "RollingBack")
Weights = dict[str, float]


@dataclass(frozen=True)
class Clients:
    """AWS as it is asked here."""

    sagemaker: Any
    s3: Any
    poll_s: float = 15


def clients() -> Clients:
    """Clients by AWS's own environment; raises `EnvironmentFault` without boto3, region or credentials."""
    session = _boto3().Session()
    with told("the client"):
        return Clients(session.client("sagemaker"), session.client("s3"))


def secret(name: str) -> dict[str, str]:
    """The keys that a secret of Secrets Manager holds, by the environment variable that each belongs in."""
    client = _boto3().client
    with told(f"reading the secret {name}"):
        text = client("secretsmanager").get_secret_value(SecretId=name).get("SecretString", "")
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not set(found) <= set(SECRETS):
        raise ConfigError(f"The secret {name} must be a JSON object of {', '.join(SECRETS)} or some of them.")
    return {key: str(value) for key, value in found.items()}


def upload(aws: Clients, file: Path, uri: str, kms_key: str | None) -> None:
    """The packed version lies at `uri`; what lies there already is the same."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    with told(f"writing {uri}"):
        if _missing(lambda: aws.s3.head_object(Bucket=bucket, Key=key)):
            encrypted = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}
            with file.open("rb") as content:
                aws.s3.put_object(Bucket=bucket, Key=key, Body=content, **encrypted)


def exists(aws: Clients, uri: str) -> bool:
    """Whether that version was packed before."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    with told(f"looking for {uri}"):
        return not _missing(lambda: aws.s3.head_object(Bucket=bucket, Key=key))


def register(aws: Clients, group: str, version: str, uri: str, about: SageMakerConfig) -> str:
    """The ARN of the version's approved package in the registry; its gates looked at it before it became a version."""
    with told(f"registering in {group}"):
        if _missing(lambda: aws.sagemaker.describe_model_package_group(ModelPackageGroupName=group)):
            aws.sagemaker.create_model_package_group(ModelPackageGroupName=group)
        known = {"version": version, "package": uri, "image": str(about.image)}
        if found := _registered(aws, group, known):
            return found
        container = {"Image": about.image, "ModelDataUrl": uri}
        made = aws.sagemaker.create_model_package(
            ModelPackageGroupName=group,
            ModelPackageDescription=f"model version {version}",
            ModelApprovalStatus="Approved",
            InferenceSpecification={
                "Containers": [container],
                "SupportedContentTypes": [JSON],
                "SupportedResponseMIMETypes": [JSON],
            },
            CustomerMetadataProperties=known,
            ClientToken=digest(group, known),
        )
    return str(made["ModelPackageArn"])


def create_model(aws: Clients, name: str, package: str, environment: Mapping[str, str], about: SageMakerConfig) -> str:
    """The name of a model that runs a package; the same name for the same things."""
    made_of = digest(package, environment, about.role, about.subnets, about.security_groups)
    model = f"{name}-{made_of}"
    network = {"VpcConfig": {"Subnets": about.subnets, "SecurityGroupIds": about.security_groups}}
    with told(f"making the model {model}"):
        if _missing(lambda: aws.sagemaker.describe_model(ModelName=model)):
            aws.sagemaker.create_model(
                ModelName=model,
                PrimaryContainer={"ModelPackageName": package, "Environment": dict(environment)},
                ExecutionRoleArn=about.role,
                **(network if about.subnets else {}),
            )
    return model


def deploy(aws: Clients, name: str, version: str, model: str, about: SageMakerConfig) -> Weights:
    """The endpoint serves a version, by `about.weight` of its requests where another is live; returns the weights."""
    new = _variant(version, model, about)
    old = [one for one in _served(aws, name) if one["VariantName"] != new["VariantName"]]
    if not old:
        return _put(aws, name, [{**new, "InitialVariantWeight": 1.0}], about)
    kept = {**old[0], "InitialVariantWeight": 1 - about.weight}
    return _put(aws, name, [kept, {**new, "InitialVariantWeight": about.weight}], about)


def shift(aws: Clients, name: str, weight: float, about: SageMakerConfig) -> Weights:
    """Give the newest version that share of the requests and the one before it the rest; returns the weights."""
    pair = [str(one["VariantName"]) for one in _configured(aws, name)]
    if len(pair) < 2:
        raise ConfigError(
            f"{name} serves {', '.join(pair) or 'nothing'}: no two versions to share requests. Deploy one."
        )
    desired = [
        {"VariantName": one, "DesiredWeight": share} for one, share in zip(pair, (1 - weight, weight), strict=True)
    ]
    with told(f"shifting weights of {name}"):
        aws.sagemaker.update_endpoint_weights_and_capacities(EndpointName=name, DesiredWeightsAndCapacities=desired)
    _wait(aws, name, None, about.timeout_s)
    return weights(aws, name)


def settle(aws: Clients, name: str, about: SageMakerConfig) -> Weights:
    """The version with the most requests stays alone, and the others' instances end; returns the weights."""
    served = _served(aws, name)
    if len(served) < 2:
        return weights(aws, name)
    return _put(aws, name, [{**served[0], "InitialVariantWeight": 1.0}], about)


def weights(aws: Clients, name: str) -> Weights:
    """The share of the requests that each version gets, greatest first."""
    with told(f"asking for {name}"):
        said = aws.sagemaker.describe_endpoint(EndpointName=name)
    served = said["ProductionVariants"]  # a weight of 0 may be left out
    shares = {one["VariantName"].removeprefix(PREFIX): float(one.get("CurrentWeight", 0)) for one in served}
    whole = sum(shares.values()) or 1.0
    return {version: share / whole for version, share in sorted(shares.items(), key=lambda one: -one[1])}


@contextlib.contextmanager
def told(doing: str) -> Iterator[None]:
    """Whatever AWS refuses meanwhile is one sentence of ours."""
    from botocore import exceptions

    try:
        yield
    except exceptions.NoRegionError as error:
        raise EnvironmentFault(f"{doing}: no AWS region is set. Set AWS_REGION.") from error
    except exceptions.NoCredentialsError as error:
        raise EnvironmentFault(
            f"{doing}: no AWS credentials were found. Set AWS_PROFILE, or run `aws sso login`."
        ) from error
    except exceptions.ClientError as error:
        said = error.response.get("Error", {})
        raise EnvironmentFault(
            f"{doing}: AWS refused ({said.get('Code')}: {said.get('Message')}). Correct the name, or let the caller's"
            " role do it."
        ) from error
    except (exceptions.BotoCoreError, exceptions.HTTPClientError) as error:
        raise EnvironmentFault(f"{doing}: AWS was not reached ({error}). Check the network and AWS_REGION.") from error


def _put(aws: Clients, name: str, variants: list[dict[str, Any]], about: SageMakerConfig) -> Weights:
    """The endpoint has these variants and is in service."""
    config = f"{name}-{digest(variants, about.capture)}"
    with told(f"configuring {name}"):
        if _missing(lambda: aws.sagemaker.describe_endpoint_config(EndpointConfigName=config)):
            aws.sagemaker.create_endpoint_config(
                EndpointConfigName=config, ProductionVariants=variants, **_capture(about.capture)
            )
        if _missing(lambda: aws.sagemaker.describe_endpoint(EndpointName=name)):
            aws.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        elif aws.sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"] != config:
            aws.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config)
    _wait(aws, name, config, about.timeout_s)
    return weights(aws, name)


def _wait(aws: Clients, name: str, config: str | None, timeout_s: float) -> None:
    until, before = time.monotonic() + timeout_s, ""
    while True:
        with told(f"waiting for {name}"):
            said = aws.sagemaker.describe_endpoint(EndpointName=name)
        status, reason = str(said["EndpointStatus"]), said.get("FailureReason", "no reason was given")
        if status != before:
            say(f"  {name}: {status}")
        if status == "InService" and config in (None, said["EndpointConfigName"]):
            return
        if status in BROKEN or status == "InService":
            raise EnvironmentFault(f"{name} is {status}, without the version: {reason}. See its log in CloudWatch.")
        if time.monotonic() > until:
            raise EnvironmentFault(
                f"{name} is {status} after {timeout_s:g} s. See its log, or raise sagemaker.timeout_s."
            )
        before = status
        time.sleep(aws.poll_s)


def _served(aws: Clients, name: str) -> list[dict[str, Any]]:
    """The variants of the endpoint as they were configured, the one with the most requests first."""
    configured = {str(one["VariantName"]): one for one in _configured(aws, name)}
    return [configured[f"{PREFIX}{version}"] for version in (weights(aws, name) if configured else {})]


def _configured(aws: Clients, name: str) -> list[dict[str, Any]]:
    """The variants of the endpoint's configuration, the newest last; none where there is no endpoint."""
    with told(f"asking for {name}"):
        if _missing(lambda: aws.sagemaker.describe_endpoint(EndpointName=name)):
            return []
        config = aws.sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"]
        return list(aws.sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"])


def _variant(version: str, model: str, about: SageMakerConfig) -> dict[str, Any]:
    return {
        "VariantName": f"{PREFIX}{version}",
        "ModelName": model,
        "InstanceType": about.instance_type,
        "InitialInstanceCount": about.instances,
    }


def _registered(aws: Clients, group: str, known: dict[str, str]) -> str | None:
    for page in aws.sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group):
        for one in page["ModelPackageSummaryList"]:
            arn = str(one["ModelPackageArn"])
            if aws.sagemaker.describe_model_package(ModelPackageName=arn).get("CustomerMetadataProperties") == known:
                return arn
    return None


def _capture(uri: str | None) -> dict[str, Any]:
    if uri is None:
        return {}
    options = [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}]
    about = {"InitialSamplingPercentage": 100, "DestinationS3Uri": uri, "CaptureOptions": options}
    headers = {"JsonContentTypes": [JSON]}
    return {"DataCaptureConfig": {"EnableCapture": True, **about, "CaptureContentTypeHeader": headers}}


def _missing(ask: Callable[[], Any]) -> bool:
    """Whether AWS answers that there is no such thing; other refusals are raised."""
    from botocore.exceptions import ClientError

    try:
        ask()
    except ClientError as error:
        said = error.response.get("Error", {})
        if said.get("Code") in ("404", "NotFound", "NoSuchKey", "ResourceNotFound", "ValidationException"):
            return True
        raise
    return False


def _boto3() -> Any:
    try:
        import boto3
    except ModuleNotFoundError:
        raise EnvironmentFault(
            "target=sagemaker needs AWS's client. Run: pip install 'ray-ai-workbench[sagemaker]'"
        ) from None
    return boto3
