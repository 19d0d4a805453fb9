"""The rows that a fold was judged on, and what every model said of them: what all judgements look at.

Shapes: N rows.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Scored:
    """Scored rows of one fold, in the order of their ids."""

    fold: str
    id_N: Array
    label_N: Array  # 1 = positive
    time_us_N: Array
    card_N: Array | None  # the customer; None where the data knows none
    scores: dict[str, Array]  # of each model, [N]; log-odds or any other score that rises with the risk
    flagged: dict[str, Array] = field(default_factory=dict)  # [N] whether each model's threshold flags the row
    capacity: bool = True  # whether customers are looked at day by day, which card precision measures

    def __len__(self) -> int:
        return len(self.label_N)

    @property
    def positives(self) -> int:
        """The number of positive rows."""
        return int((self.label_N == 1).sum())

    @property
    def both_classes(self) -> bool:
        """Whether there is anything to rank."""
        return 0 < self.positives < len(self)

    @property
    def looked_at_N(self) -> Array | None:
        """The customer, where card precision is asked for."""
        return self.card_N if self.capacity else None

    def named(self, fold: str) -> "Scored":
        """The same rows as those of another fold."""
        return dataclasses.replace(self, fold=fold)

    def rows(self, chosen: Array) -> "Scored":
        """Some of the rows, by a mask or by their places."""
        return self._each(lambda values: values[chosen])

    def _each(self, change: Callable[[Array], Array]) -> "Scored":
        return dataclasses.replace(
            self,
            id_N=change(self.id_N),
            label_N=change(self.label_N),
            time_us_N=change(self.time_us_N),
            card_N=None if self.card_N is None else change(self.card_N),
            scores={name: change(score_N) for name, score_N in self.scores.items()},
            flagged={name: change(flag_N) for name, flag_N in self.flagged.items()},
        )


def joined(folds: Sequence[Scored]) -> Scored:
    """The rows of all folds together."""
    first = folds[0]
    if len(folds) == 1:
        return first
    return Scored(
        "all",
        np.concatenate([one.id_N for one in folds]),
        np.concatenate([one.label_N for one in folds]),
        np.concatenate([one.time_us_N for one in folds]),
        None if first.card_N is None else np.concatenate([one.card_N for one in folds if one.card_N is not None]),
        {name: np.concatenate([one.scores[name] for one in folds]) for name in first.scores},
        {name: np.concatenate([one.flagged[name] for one in folds]) for name in first.flagged},
        first.capacity,
    )
