"""Workers, machines and batches that do not fit each other are told before anything starts."""

from typing import Any

import pytest

from workbench import scaling
from workbench.config import ScalingConfig
from workbench.families import NetworkConfig, XGBoostConfig
from workloads import door


def faults(batch_size: int = 512, **changed: Any) -> list[str]:
    cfg = ScalingConfig(name="tests", **{"workers": 2, "cpus_per_worker": 1, **changed})
    return list(scaling.faults(cfg, {"xgboost": XGBoostConfig(), "torch_mlp": NetworkConfig(batch_size=batch_size)}))


@pytest.mark.parametrize(
    ("workers", "size", "said"),
    [
        (3, 512, "scaling.workers=3. Use 510 or 513, or 2 or 4 workers."),
        (3, 256, "scaling.workers=3. Use 255 or 258, or 2 or 4 workers."),
        (8, 4, "scaling.workers=8. Use 8, or 2 or 4 workers."),
    ],
)
def test_a_batch_that_does_not_divide_is_told_with_sizes_and_workers_that_do(
    workers: int, size: int, said: str
) -> None:
    assert faults(size, workers=workers) == [f"train.torch_mlp.batch_size={size} does not divide by {said}"]


@pytest.mark.parametrize("workers", [1, 2, 4, 8, 512])
def test_a_batch_that_divides_is_no_fault(workers: int) -> None:
    assert faults(512, workers=workers) == []


def test_families_without_batches_take_any_number_of_workers() -> None:
    cfg = ScalingConfig(name="tests", workers=3)
    assert list(scaling.faults(cfg, {"xgboost": XGBoostConfig()})) == []


def test_all_faults_of_elastic_workers_are_told_at_once() -> None:
    told = faults(min_workers=3, cpus_per_worker=0.5, max_failures=0)
    assert [one.partition("=")[0] for one in told] == [
        "scaling.min_workers", "scaling.cpus_per_worker", "scaling.max_failures",
    ]  # fmt: skip


def test_fewer_workers_are_allowed_to_go_on() -> None:
    assert faults(workers=4, min_workers=2) == []


@pytest.mark.parametrize("name", ["laptop", "cpu4", "gpu", "gpu8"])
def test_the_default_families_train_on_every_scaling_that_we_ship(name: str) -> None:
    assert door.composed([f"scaling={name}"]).scaling.name == name
