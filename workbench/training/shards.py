"""Each worker's share of a dataset.

Datasets are cut before any worker starts, into pieces of which every number of workers can be served: once workers hold
the cluster's CPUs, a task that cuts would wait for ever.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import ray.train

from workbench.training.fits import SCORED

if TYPE_CHECKING:
    from ray.data import Dataset

PIECE = "#"  # between a dataset's name and the number of a piece's first row; the first piece has the name alone


class EvenShards(ray.train.DataConfig):
    """Every worker gets the same share of every dataset, in the same order each time, and no row is left out.

    Ray's own split equalises by leaving rows out, and hands out blocks to whoever asks first: another model each time.
    """

    def __init__(self, rows: Mapping[str, int]) -> None:
        super().__init__()
        self._rows_of = dict(rows)  # of each dataset, by its name

    def configure(self, datasets: dict[str, Any], world_size: int, *_: Any, **__: Any) -> list[dict[str, Any]]:
        """The shards of each worker by name; what is scored goes whole to whoever asks (the first worker)."""
        shards: list[dict[str, Any]] = [{} for _ in range(world_size)]
        for name, rows in self._rows_of.items():
            pieces = {_start(key): one for key, one in datasets.items() if _name(key) == name}
            for worker, shard in enumerate(shards):
                first, end = (0, rows) if name.endswith(SCORED) else _share(rows, worker, world_size)
                shard[name] = _joined([pieces[start] for start in sorted(pieces) if first <= start < end]).iterator()
        return shards


def pieces(name: str, data: "Dataset", rows: int, counts: Iterable[int]) -> dict[str, "Dataset"]:
    """The pieces of a dataset by their names, for each of these numbers of workers."""
    if name.endswith(SCORED):
        return {name: data}
    cuts = sorted({_share(rows, worker, count)[0] for count in counts for worker in range(count)} - {0})
    parts = data.split_at_indices(cuts) if cuts else [data]
    keys = [name, *(f"{name}{PIECE}{start}" for start in cuts)]  # Ray gives a worker only what it knows by its name
    return dict(zip(keys, parts, strict=True))


def _name(key: str) -> str:
    return key.partition(PIECE)[0]


def _start(key: str) -> int:
    return int(key.partition(PIECE)[2] or 0)


def _share(rows: int, worker: int, workers: int) -> tuple[int, int]:
    """The first row of a worker's share and the row after it; shares differ by one row at the most."""
    return rows * worker // workers, rows * (worker + 1) // workers


def _joined(parts: list["Dataset"]) -> "Dataset":
    first, *rest = parts
    return first.union(*rest) if rest else first
