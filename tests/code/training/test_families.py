"""Rows that cannot be learnt from and workers without room are refused before any worker starts."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import ray

from tests.code.training.samples import CFG, FOLDS, NAMES, rows, snapshot, trained
from workbench.config import ScalingConfig
from workbench.data import snapshots
from workbench.data.store import Store
from workbench.errors import EnvironmentFault, InputError
from workbench.training import families

pytestmark = pytest.mark.usefixtures("ray_session")


def failing(store: Store, change: pc.Expression) -> None:
    """Train on rows of which some have the label 0 only."""
    table = rows()
    chosen = pc.is_in(table["id"], snapshots.read(snapshot(store, table, "before"), ["id"], change)["id"])
    label = pc.if_else(chosen, pc.if_else(pc.is_valid(table["label"]), 0.0, None), table["label"])
    changed = table.set_column(table.column_names.index("label"), "label", label)
    trained(snapshot(store, changed, "changed"), "failing")


@pytest.mark.parametrize(
    ("change", "fold"), [(pc.field("part") == "valid", "select-scored"), (pc.field("part") != "test", "select")]
)
def test_labels_of_one_class_are_refused_before_any_worker_starts(
    store: Store, change: pc.Expression, fold: str
) -> None:
    with pytest.raises(InputError, match=rf"{fold} holds \d+ labelled rows of 1 class.*check the labels"):
        failing(store, change)


def test_a_training_block_without_a_known_label_is_refused(store: Store) -> None:
    unknown = rows().set_column(4, "label", pa.nulls(801, pa.float64()))
    with pytest.raises(InputError, match="select holds 0 labelled rows of 0 class"):
        trained(snapshot(store, unknown), "unknown")


@pytest.mark.parametrize(
    ("scaling", "said"),
    [
        ({"workers": 9, "cpus_per_worker": 0.5}, "scaling.workers=9 need 4.5 CPUs, and the cluster has 4."),
        ({"workers": 1, "gpus_per_worker": 64}, "scaling.workers=1 need 64 GPUs"),
    ],
)
def test_more_workers_than_the_cluster_has_room_for_are_refused_with_the_remedy(
    store: Store, scaling: dict[str, Any], said: str
) -> None:
    many = ScalingConfig(name="many", **scaling)
    with pytest.raises(EnvironmentFault, match="Use fewer workers, another scaling, or a larger cluster") as caught:
        families.train_each(snapshot(store, rows()), NAMES, "id", FOLDS, CFG, many, "many")
    assert str(caught.value).startswith(said)


def test_an_error_of_ours_arrives_as_itself_from_the_process_that_waits_for_ray_train() -> None:
    def refuse() -> None:
        raise InputError("The rows are no good.")

    with pytest.raises(InputError, match=r"^The rows are no good\.$"):
        families._result(ray.remote(refuse).remote())
