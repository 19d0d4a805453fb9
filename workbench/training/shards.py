"""Each worker's share of a dataset."""

from typing import TYPE_CHECKING, Any

import ray.train

from workbench.training.fits import SCORED

if TYPE_CHECKING:
    from ray.data import Dataset


class EvenShards(ray.train.DataConfig):
    """Every worker gets the same share of every dataset, in the same order each time, and no row is left out.

    Ray's own split equalises by leaving rows out, and hands out blocks to whoever asks first: another model each time.
    """

    def configure(self, datasets: dict[str, Any], world_size: int, *_: Any, **__: Any) -> list[dict[str, Any]]:
        """The shards of each worker by name; what is scored goes whole to whoever asks (the first worker)."""
        shards: list[dict[str, Any]] = [{} for _ in range(world_size)]
        for name, data in datasets.items():
            parts = [data] * world_size if name.endswith(SCORED) else _even(data, world_size)
            for worker, part in enumerate(parts):
                shards[worker][name] = part.iterator()
        return shards


def _even(data: "Dataset", workers: int) -> list["Dataset"]:
    """Consecutive shares whose sizes differ by one row at the most."""
    if workers == 1:
        return [data]
    total = data.count()
    return data.split_at_indices([total * worker // workers for worker in range(1, workers)])
