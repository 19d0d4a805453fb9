"""How a release is asked for, and what a canary must not do."""

from dataclasses import dataclass, field

ACTIONS = ("shadow", "canary", "promote", "rollback", "retire")


@dataclass
class ReleaseConfig:
    """What is done with a version, by `workloads.deploy`; the ledger keeps it."""

    action: str | None = None  # shadow | canary | promote | rollback | retire; null: none, or to promote the first
    version: str | None = None  # a version, or configured | challenger; rollback: the canary's or champion's when null
    reason: str | None = None  # why, for those who read the ledger; every action needs one
    canary_percent: int | None = None  # canary: share of the customers, 1 to 100; the first of the steps when null
    canary_steps: list[int] = field(default_factory=lambda: [1, 5, 25, 50])  # canary: shares that follow by themselves


@dataclass
class GuardrailsConfig:
    """What a new version must show to be taken, and what rolls a canary back by itself."""

    score_ms: float = 20.0  # median time of one score above which a version is refused before any traffic
    alpha: float = 0.01  # chance that a canary which keeps all shares below is rolled back, however long it runs
    disagreement: float = 0.02  # share of a canary's decisions that may differ from the champion's
    shift: float = 0.2  # difference of two scores of one event above which the score counts as shifted
    shifted_share: float = 0.05  # share of a canary's scores that may be shifted
    latency_factor: float = 3.0  # a score is slow that takes longer than this times the champion's ...
    latency_slack_ms: float = 1.0  # ... and so much
    slow_share: float = 0.05  # share of a canary's scores that may be slow
    faults: int = 3  # scores of a canary that may fail or be no number; its customers get the champion's
    pairs_per_step: int = 1000  # decisions compared before a canary goes on to its next share
    shadow_queue: int = 2000  # events that may wait for shadows to score them; more are left out
