"""What SageMaker would refuse, or would make features differ, is refused before anything is asked of it."""

from typing import Any

import pytest

from workbench.config import Config
from workbench.errors import ConfigError
from workloads import door

WORDS = [
    "experiment=smoke", "target=sagemaker", "sagemaker.image=1.dkr.ecr/workbench:1",
    "sagemaker.role=arn:aws:iam::1:role/r", "sagemaker.packages=s3://bucket/models",
]  # fmt: skip
REDIS = "serve.state=redis"


def composed(*more: str) -> Config:
    return door.composed([*WORDS, *more])


def refused(*more: str) -> str:
    with pytest.raises(ConfigError) as caught:
        composed(*more)
    return str(caught.value)


def test_a_whole_config_is_taken() -> None:
    assert composed().sagemaker.weight == 1.0


def test_all_that_a_deployment_lacks_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        door.composed(["experiment=smoke", "target=sagemaker"])
    for key in ("sagemaker.image", "sagemaker.role", "sagemaker.packages"):
        assert f"{key} must be set" in str(caught.value)


def test_the_way_back_needs_none_of_it() -> None:
    assert door.composed(["experiment=smoke", "target=sagemaker", "sagemaker.action=rollback"])


def test_nothing_is_asked_where_the_target_is_another() -> None:
    assert door.composed(["experiment=smoke", "sagemaker.packages=folder"])


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("sagemaker.packages=folder", "sagemaker.packages=folder is no s3:// URI"),
        ("sagemaker.capture=folder", "sagemaker.capture=folder is no s3:// URI"),
        ("sagemaker.endpoint=a_b", "sagemaker.endpoint=a_b is no name for SageMaker"),
        ("sagemaker.subnets=[subnet-1]", "belong together"),
        ("sagemaker.action=remove", "sagemaker.action='remove'"),
        ("sagemaker.weight=1.5", "sagemaker.weight=1.5"),
        ("sagemaker.instances=2", "sagemaker.instances=2 with serve.state=memory"),
        ("sagemaker.weight=0.1", "sagemaker.weight=0.1 with serve.state=memory"),
    ],
)
def test_a_value_that_cannot_be_is_named_with_its_remedy(word: str, said: str) -> None:
    assert said in refused(word)


@pytest.mark.parametrize("word", ["sagemaker.instances=2", "sagemaker.weight=0.1"])
def test_a_shared_state_lifts_what_one_process_cannot(word: str) -> None:
    assert composed(word, REDIS)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_all_or_nothing_needs_no_shared_state(weight: float) -> None:
    found: Any = composed(f"sagemaker.weight={weight}")
    assert found.sagemaker.weight == weight
