"""What a candidate must show before it becomes a version; every reason against it at once."""

from collections.abc import Iterator
from typing import Any

from workbench.config import RegisterConfig
from workbench.errors import GateRefused, raise_all


def check(
    cfg: RegisterConfig, evaluated: dict[str, Any], rescored: dict[str, Any], largest_difference: dict[str, float]
) -> None:
    """Raise `GateRefused` with all reasons; return when there is none."""
    raise_all(GateRefused, "The candidate was refused:", list(_reasons(cfg, evaluated, rescored, largest_difference)))


def _reasons(
    cfg: RegisterConfig, evaluated: dict[str, Any], rescored: dict[str, Any], largest_difference: dict[str, float]
) -> Iterator[str]:
    for name, value in rescored.items():
        if value != evaluated[name]:
            yield f"{name} of the bundle is {value}, the evaluation had {evaluated[name]}: another model was judged."
    for member, difference in largest_difference.items():
        if not difference <= cfg.score_tolerance:
            yield (
                f"{member}: the bundle's probability differs from its framework's by {difference:.2g};"
                f" register.score_tolerance={cfg.score_tolerance:g} allows less."
            )
    wanted, found = cfg.minimum_average_precision, evaluated["average_precision"]
    if wanted is not None and not found >= wanted:  # no number is no good either
        yield f"average precision {found:.3f} is below register.minimum_average_precision={wanted:g}."
