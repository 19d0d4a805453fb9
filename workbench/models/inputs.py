"""Which of a feature set's columns a family sees: sequence families all, the others none of earlier events.

A column `BASE_J_back` holds the feature `BASE` as it was at the entity's J-th last event, 1 being the newest before the
row; `elapsed_J_back` the seconds since then, -1 where there was no such event.
"""

import re
from collections.abc import Sequence

from workbench.errors import ConfigError
from workbench.families import FamilyConfig

BACK = re.compile(r"(?P<base>.+)_(?P<back>[1-9]\d*)_back")


def names_of(hyper: FamilyConfig, names: Sequence[str]) -> list[str]:
    """The columns that a family sees, in the order of the set; raises `ConfigError` where nothing is left."""
    seen = list(names) if hyper.sequences else [name for name in names if not BACK.fullmatch(name)]
    if not seen:
        raise ConfigError(
            "features.views hold earlier events only, and most families see the row's own features. Add some."
        )
    return seen


def places_of(hyper: FamilyConfig, names: Sequence[str]) -> list[int]:
    """Where those columns lie in the set."""
    return [names.index(name) for name in names_of(hyper, names)]
