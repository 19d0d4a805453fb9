"""What `workloads.deploy target=sagemaker` may be told, and what is wrong with it beyond types."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.config import Config

TARGETS = ("serve", "sagemaker")
ACTIONS = ("deploy", "shift", "rollback", "settle")
NAME = re.compile(r"[A-Za-z0-9](-?[A-Za-z0-9]){0,39}")  # the host's rule, with room for what we append
NEEDED = ("image", "role", "packages")  # by a deployment


@dataclass
class SageMakerConfig:
    """An endpoint on SageMaker, for target=sagemaker; region and credentials come from AWS's own environment."""

    action: str = "deploy"  # deploy | shift (weight) | rollback | settle (the version with most requests stays alone)
    endpoint: str | None = None  # its name, and its model package group's; serve.application when null
    image: str | None = None  # deploy: URI of the image `sagemaker` in ECR
    role: str | None = None  # deploy: ARN of the role that the container takes
    packages: str | None = None  # deploy: s3://BUCKET/PREFIX for the packed versions
    secret: str | None = None  # name in Secrets Manager of {"WORKBENCH_PSEUDONYM_KEY": ...}; null: tokens of its own
    instance_type: str = "ml.m5.large"  # of each version's instances
    instances: int = 1  # of each version; more than one needs serve.state=redis
    weight: float = 1.0  # deploy and shift: share of the requests that the newest version gets
    subnets: list[str] = field(default_factory=list)  # of a VPC, where Redis or the store is reached through it
    security_groups: list[str] = field(default_factory=list)  # of the same VPC
    kms_key: str | None = None  # that encrypts the packed versions; the bucket's own when null
    capture: str | None = None  # s3://BUCKET/PREFIX for every request and answer; null: none are captured
    timeout_s: float = 1800.0  # seconds until the endpoint has to be in service


def faults(cfg: "Config") -> Iterator[str]:
    """Everything that SageMaker, or the promise of equal features, would refuse."""
    if cfg.target != "sagemaker":
        return
    told = cfg.sagemaker
    if cfg.release.action is not None:
        yield f"release.action={cfg.release.action} acts on Ray Serve. Use sagemaker.action, or target=serve."
    if told.action == "deploy":
        for name in NEEDED:
            if not getattr(told, name):
                yield f"sagemaker.{name} must be set for target=sagemaker. Add sagemaker.{name}=VALUE."
    for key in ("packages", "capture"):
        value = getattr(told, key)
        if value and not re.fullmatch(r"s3://[^/]+(/.*)?", value):
            yield f"sagemaker.{key}={value} is no s3:// URI. Use s3://BUCKET/PREFIX."
    if not NAME.fullmatch(endpoint(cfg)):
        yield (
            f"sagemaker.endpoint={endpoint(cfg)} is no name for SageMaker. Use at most 40 letters and digits with"
            " single hyphens between."
        )
    if bool(told.subnets) != bool(told.security_groups):
        yield "sagemaker.subnets and sagemaker.security_groups belong together. Set both, or neither."
    yield from _state_faults(cfg)


def endpoint(cfg: "Config") -> str:
    """The endpoint's name."""
    return cfg.sagemaker.endpoint or cfg.serve.application


def _state_faults(cfg: "Config") -> Iterator[str]:
    """The host deals requests out by chance: a state in one process would miss what the others were asked."""
    if cfg.serve.state == "redis" or not any(view.entity for view in cfg.features.views):
        return
    shared = "Use serve.state=redis with a serve.redis_url that the container reaches"
    if cfg.sagemaker.instances > 1:
        yield (
            f"sagemaker.instances={cfg.sagemaker.instances} with serve.state=memory: each would see a part of a"
            f" customer's past. {shared}, or one instance."
        )
    if cfg.sagemaker.action in ("deploy", "shift") and cfg.sagemaker.weight not in (0.0, 1.0):
        yield (
            f"sagemaker.weight={cfg.sagemaker.weight:g} with serve.state=memory: each version would see a part of a"
            f" customer's past. {shared}, or the weights 0 and 1."
        )
