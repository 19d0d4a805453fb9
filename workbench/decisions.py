"""How members become one model, and its scores decisions: the schema of three sections of `train` and `register`."""

from dataclasses import dataclass

GRID_MEMBERS = 5  # whose tenths give 1,001 mixtures; those of ten would be 92,378


@dataclass
class EnsembleConfig:
    """How the members are mixed in log-odds: with weights of at least 0 whose sum is 1."""

    method: str = "greedy"  # greedy (draws with replacement) | stacked (logistic regression) | grid (all tenths)
    draws: int = 50  # greedy: draws at the most; a member's weight is its share of them
    noise: float | None = 0.5  # standard errors that leaving a member out must cost; null: none is left out afterwards
    equal: float | None = None  # standard errors that weights must earn beyond equal ones, else these; null: no matter
    bagged: bool = False  # a member is the mean of its fits of all seeds; else the fit of the first seed is registered


@dataclass
class CalibrationConfig:
    """The last, rising step from the mixture's log-odds to the score."""

    method: str = "none"  # none | platt (a line in log-odds) | isotonic (a rising curve in log-odds)
    rows: str = "crossed"  # crossed (all; weights of each row are chosen on others) | last_fold (which chooses none)


@dataclass
class ThresholdConfig:
    """From which score on a row is flagged, chosen on the validation rows."""

    rule: str = "flagged_share"  # flagged_share | cost | capacity | false_positive_rate
    capacity: int | None = None  # capacity: flags that can be looked at in a day, on average
    false_positive_rate: float | None = None  # false_positive_rate: share of the good rows that may be flagged
    cost_false_positive_minor: int | None = None  # cost: of looking at a good row, in minor units
    amount: str | None = None  # cost: money column that is lost where a bad row is not flagged
