"""What must hold between workers, machines and batches, beyond each value's own limits."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from workbench.config import ScalingConfig


def faults(scaling: ScalingConfig, families: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with a scaling for the families that are trained on it."""
    if scaling.min_workers is not None:
        yield from _elastic_faults(scaling, scaling.min_workers)
    for family, hyper in families.items():
        if hasattr(hyper, "batch_size") and not hyper.alone:
            yield from _batch_faults(f"train.{family}.batch_size", hyper.batch_size, scaling.workers)


def _elastic_faults(scaling: ScalingConfig, least: int) -> Iterator[str]:
    if least > scaling.workers:
        yield f"scaling.min_workers={least} is more than scaling.workers={scaling.workers}. Use as many or fewer."
    if scaling.cpus_per_worker % 1:
        yield (
            f"scaling.cpus_per_worker={scaling.cpus_per_worker:g} is not whole, and with scaling.min_workers={least}"
            " Ray looks for room in whole CPUs. Use a whole number, or scaling.min_workers=null."
        )
    if scaling.max_failures < 1:
        yield (
            f"scaling.max_failures={scaling.max_failures} survives no loss, which scaling.min_workers={least} is"
            " for. Use scaling.max_failures=1 or more, or scaling.min_workers=null."
        )


def _batch_faults(key: str, size: int, workers: int) -> Iterator[str]:
    """A batch is dealt to the workers in equal parts."""
    if not (1 <= size < math.inf and 1 <= workers < math.inf) or size % workers == 0:
        return
    below, above = size // workers * workers, -(-size // workers) * workers
    sizes = f"{below} or {above}" if below else f"{above}"
    others = [str(count) for count in range(1, 2 * workers) if size % count == 0]
    counts = " or ".join(others[-2:])
    yield f"{key}={size} does not divide by scaling.workers={workers}. Use {sizes}, or {counts} workers."
