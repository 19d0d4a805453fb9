"""A family that one worker fits needs room for one; groups train side by side where each worker has a CPU."""

import pytest

from workbench.config import ScalingConfig, TrainConfig
from workbench.errors import EnvironmentFault
from workbench.training import needs


@pytest.mark.usefixtures("four_small_machines")
@pytest.mark.parametrize(
    ("families", "anomaly", "said"),
    [
        (["random_forest", "logistic_regression"], None, None),
        (["random_forest", "xgboost"], None, "scaling.workers=8 need 8 CPUs"),
        (["random_forest"], "autoencoder", "scaling.workers=8 need 8 CPUs"),
        (["random_forest"], "isolation_forest", None),
    ],
)
def test_families_that_one_worker_fits_need_room_for_one(
    families: list[str], anomaly: str | None, said: str | None
) -> None:
    cfg = TrainConfig(families=families)
    cfg.random_forest.anomaly_feature = anomaly
    scaling = ScalingConfig(name="eight", workers=8, cpus_per_worker=1)
    if said is None:
        return needs.check(scaling, cfg)
    with pytest.raises(EnvironmentFault, match=said):
        needs.check(scaling, cfg)
    return None


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize(("workers", "cpus", "groups"), [(1, 0.25, 4), (2, 0.25, 2), (3, 0.5, 1), (8, 0.25, 1)])
def test_worker_groups_train_side_by_side_where_each_worker_has_a_cpu_and_one_always_does(
    workers: int, cpus: float, groups: int
) -> None:
    assert needs.groups_at_once(ScalingConfig(name="tests", workers=workers, cpus_per_worker=cpus)) == groups
