"""What may be configured of a judgement's details: slices, costs, learning curves, and runs side by side."""

from dataclasses import dataclass, field


@dataclass
class SlicesConfig:
    """Parts of the scored rows that are judged by themselves."""

    amount: str | None = None  # column of the amount; null: the first money column, or none
    amount_bands: list[float] = field(default_factory=list)  # upper ends in the column's units; empty: by quantiles
    hours: int = 4  # length of a band of the day (UTC) in hours; divides 24
    age_days: list[float] = field(default_factory=lambda: [7.0, 30.0, 90.0])  # upper ends, since the first event
    minimum: int = 30  # rows of either class below which a slice is too small to be judged
    samples: int = 200  # resamples behind each interval of a slice


@dataclass
class CostsConfig:
    """What errors cost; a missed positive costs its amount."""

    false_positive_minor: list[int] = field(default_factory=lambda: [100, 500, 2000])  # minor units of one false alarm


@dataclass
class LearningCurveConfig:
    """How the figures grow with the training rows (`python -m workloads.learning_curve`)."""

    shares: list[float] = field(default_factory=lambda: [0.125, 0.25, 0.5, 1.0])  # above 1 (time): older rows as well
    ahead: list[float] = field(default_factory=lambda: [2.0, 4.0])  # times the largest share that the law looks ahead


@dataclass
class CompareConfig:
    """Which runs stand side by side (`python -m workloads.compare`)."""

    runs: list[str] = field(default_factory=list)  # keys of evaluations or runs; the first is the baseline
    models: list[str] = field(default_factory=lambda: ["ensemble"])  # of each run
