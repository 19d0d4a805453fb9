"""What SageMaker would refuse, or would make features differ, is refused before anything is asked of it."""

import dataclasses
from typing import Any

import pytest

from workbench.config import Config
from workbench.errors import ConfigError
from workbench.release import sagemaker_config
from workloads import door


@pytest.fixture(scope="module")
def whole() -> Config:
    """All that a deployment needs, with features that look back at an entity's past."""
    told = (
        "sagemaker.image=1.dkr.ecr/w:1",
        "sagemaker.role=arn:aws:iam::1:role/r",
        "sagemaker.packages=s3://bucket/models",
    )
    return door.composed(["experiment=smoke", "target=sagemaker", *told])


def faults(cfg: Config, state: str = "memory", **changed: Any) -> list[str]:
    about, serve = dataclasses.replace(cfg.sagemaker, **changed), dataclasses.replace(cfg.serve, state=state)
    return [*sagemaker_config.faults(dataclasses.replace(cfg, sagemaker=about, serve=serve))]


def test_all_that_a_deployment_lacks_is_told_at_once(whole: Config) -> None:
    found = faults(whole, image=None, role=None, packages=None)
    assert [one.partition(" ")[0] for one in found] == ["sagemaker.image", "sagemaker.role", "sagemaker.packages"]


def test_the_way_back_needs_none_of_it(whole: Config) -> None:
    assert faults(whole, action="rollback", image=None, role=None, packages=None) == []


def test_nothing_is_asked_where_the_target_is_another(whole: Config) -> None:
    assert faults(dataclasses.replace(whole, target="serve"), packages="folder") == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"packages": "folder"}, "sagemaker.packages=folder is no s3:// URI"),
        ({"capture": "folder"}, "sagemaker.capture=folder is no s3:// URI"),
        ({"endpoint": "a_b"}, "sagemaker.endpoint=a_b is no name for SageMaker"),
        ({"endpoint": "a" * 41}, "is no name for SageMaker"),
        ({"subnets": ["subnet-1"]}, "belong together"),
        ({"instances": 2}, "sagemaker.instances=2 with serve.state=memory"),
        ({"weight": 0.1}, "sagemaker.weight=0.1 with serve.state=memory"),
        ({"weight": 0.1, "action": "shift"}, "sagemaker.weight=0.1 with serve.state=memory"),
    ],
)
def test_a_value_that_cannot_be_is_named_with_its_remedy(whole: Config, changed: dict[str, Any], said: str) -> None:
    (fault,) = faults(whole, **changed)
    assert said in fault


def test_an_action_of_the_other_target_is_no_deployment(whole: Config) -> None:
    asked = dataclasses.replace(whole, release=dataclasses.replace(whole.release, action="rollback"))
    (fault,) = faults(asked)
    assert fault.startswith("release.action=rollback acts on Ray Serve")


@pytest.mark.parametrize("changed", [{"instances": 2}, {"weight": 0.1}])
def test_a_shared_state_lifts_what_one_process_cannot(whole: Config, changed: dict[str, Any]) -> None:
    assert faults(whole, "redis", **changed) == []


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_all_or_nothing_needs_no_shared_state(whole: Config, weight: float) -> None:
    assert faults(whole, weight=weight) == []


def test_the_door_holds_the_keys_to_their_choices_and_limits_too() -> None:
    with pytest.raises(ConfigError) as caught:
        door.composed(["target=azure", "sagemaker.action=remove", "sagemaker.weight=1.5", "sagemaker.instances=0"])
    for said in (
        "target=azure is unknown",
        "sagemaker.action=remove is unknown",
        "sagemaker.weight=1.5",
        "instances=0",
    ):
        assert said in str(caught.value)
