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

Pieces = Mapping[int, "Dataset"]  # by the number of their first row


class EvenShards(ray.train.DataConfig):
    """Every worker gets the same share of every dataset, in the same order each time, and no row is left out.

    Ray's own split equalises by leaving rows out, and hands out blocks to whoever asks first: another model each time.
    """

    def __init__(self, rows: Mapping[str, int], pieces: Mapping[str, Pieces]) -> None:
        super().__init__()
        self._rows_of, self._pieces_of = dict(rows), dict(pieces)  # of each dataset, by its name

    def configure(self, datasets: Mapping[str, Any], world_size: int, *_: Any, **__: Any) -> list[dict[str, Any]]:
        """The shards of each worker by name; what is scored goes whole to whoever asks (the first worker)."""
        return [{name: self._shard(name, worker, world_size) for name in datasets} for worker in range(world_size)]

    def _shard(self, name: str, worker: int, workers: int) -> Any:
        rows, pieces = self._rows_of[name], self._pieces_of[name]
        first, end = (0, rows) if name.endswith(SCORED) else _share(rows, worker, workers)
        return _joined([pieces[start] for start in sorted(pieces) if first <= start < end]).iterator()


def pieces(name: str, data: "Dataset", rows: int, counts: Iterable[int]) -> Pieces:
    """The pieces of a dataset that serve each of these numbers of workers."""
    if name.endswith(SCORED):
        return {0: data}
    cuts = sorted({_share(rows, worker, count)[0] for count in counts for worker in range(count)} - {0})
    parts = data.split_at_indices(cuts) if cuts else [data]
    return dict(zip([0, *cuts], parts, strict=True))


def _share(rows: int, worker: int, workers: int) -> tuple[int, int]:
    """The first row of a worker's share and the row after it; shares differ by one row at the most."""
    return rows * worker // workers, rows * (worker + 1) // workers


def _joined(parts: list["Dataset"]) -> "Dataset":
    first, *rest = parts
    return first.union(*rest) if rest else first
