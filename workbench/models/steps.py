"""How a feature set's columns make a sequence: the places of every step's inputs among the columns.

Shapes: F columns, T steps from the oldest to the row itself, S inputs of a step: its features, then the seconds since.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ConfigError, raise_all
from workbench.models.inputs import BACK

ELAPSED = "elapsed"
NEWEST = f"{ELAPSED}_1_back"


@dataclass(frozen=True)
class Layout:
    """Where the inputs of a sequence lie. A place of F is no column: the seconds since the row itself, which are 0."""

    own: tuple[str, ...]  # the row's own features
    bases: tuple[int, ...]  # those of them that earlier events have too, by their place in `own`
    own_places: NDArray[np.int64]  # [len(own)]
    places_TS: NDArray[np.int64]

    @classmethod
    def of(cls, names: Sequence[str]) -> "Layout":
        """The layout of these columns; raises `ConfigError` with every column that is missing."""
        raise_all(ConfigError, "The features hold no sequence:", faults(names))
        own = [name for name in names if not BACK.fullmatch(name)]
        bases = [name for name in own if f"{name}_1_back" in names]
        at = {name: place for place, name in enumerate(names)}
        steps = [[at[f"{base}_{one}_back"] for base in (*bases, ELAPSED)] for one in _backs(names)]
        steps.append([*(at[base] for base in bases), len(names)])
        places = np.array([at[name] for name in own], np.int64)
        return cls(tuple(own), tuple(map(own.index, bases)), places, np.array(steps, np.int64))

    @property
    def encoded(self) -> list[str]:
        """The columns that the input encoding is estimated from: earlier events are like the row's own."""
        return [*self.own, NEWEST]

    @property
    def step_inputs(self) -> list[int]:
        """Which of the encoded columns the inputs of a step are like."""
        return [*self.bases, len(self.own)]


def steps_of(x_NF: NDArray[np.float32], places_TS: NDArray[np.int64]) -> NDArray[np.float32]:
    """[N, T, S] the inputs of all steps."""
    return np.pad(x_NF, ((0, 0), (0, 1)))[:, places_TS]


def faults(names: Sequence[str]) -> list[str]:
    """What these columns lack to be a sequence."""
    return list(_faults(names))


def _backs(names: Sequence[str]) -> list[int]:
    """How far back the columns reach, the oldest event first."""
    return sorted({int(found["back"]) for found in map(BACK.fullmatch, names) if found}, reverse=True)


def _faults(names: Sequence[str]) -> Iterator[str]:
    if not _backs(names):
        yield (
            "features.views show no earlier event, and a sequence model reads them (columns such as amount_1_back)."
            " Add a view of kind previous, or leave lstm, lstm_attention and transformer out of train.families."
        )
        return
    found = [match for match in map(BACK.fullmatch, names) if match]
    wanted = dict.fromkeys([*(match["base"] for match in found), ELAPSED])
    missing = [f"{base}_{one}_back" for base in wanted for one in range(1, _backs(names)[0] + 1)]
    if missing := [name for name in missing if name not in names]:
        yield f"{', '.join(missing)} is missing: all earlier events show the same. Add it to the view of kind previous."
    if strangers := [base for base in wanted if base not in names and base != ELAPSED]:
        yield (
            f"{', '.join(strangers)} is shown of earlier events and not of the row itself. Add it to the row's"
            " features, or take it out of the view of kind previous."
        )
