"""What the endpoint answers, as types: the description's schemas are made of them, and a test holds answers to them."""

from typing import Annotated, Any, Literal

import msgspec

from serve.answers import CODES

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Code: Any = Literal[tuple(sorted(set(CODES.values())))]


class Decision(msgspec.Struct, forbid_unknown_fields=True):
    """The decision on an event; of one that is sent again it is the first one."""

    request_id: str
    score: Share
    decision: Literal["flag", "pass"]
    model_version: str
    feature_view_version: str


class Failed(msgspec.Struct, forbid_unknown_fields=True):
    """Why an event of a batch has no decision."""

    code: Code
    message: str


class NoDecision(msgspec.Struct, forbid_unknown_fields=True):
    """In the place of a decision."""

    error: Failed


class Decisions(msgspec.Struct, forbid_unknown_fields=True):
    """A result for each event of a batch, in its order."""

    request_id: str
    results: list[Any]


class Contribution(msgspec.Struct, forbid_unknown_fields=True):
    """A feature's share in the log-odds."""

    feature: str
    value: float
    contribution: float


class Member(msgspec.Struct, forbid_unknown_fields=True):
    """How a member of the mixture is explained; an estimate where that is not exact."""

    name: str
    weight: float
    method: Literal["tree_shap", "linear", "shapley", "sampled_shapley"]
    exact: bool
    base: float


class Explained(Decision, forbid_unknown_fields=True):
    """A score whose log-odds, before any calibration, are the base and the contributions, the largest first."""

    log_odds: float
    base: float
    contributions: list[Contribution]
    members: list[Member]
    reasons: list[dict[str, str]]


class Released(msgspec.Struct, forbid_unknown_fields=True):
    """What is live after an act."""

    request_id: str
    step: int
    champion: str | None
    canary: str | None
    canary_percent: int | None
    shadows: list[str]


class Taken(msgspec.Struct, forbid_unknown_fields=True):
    """How many labels or corrections were recorded, and how many of them the feature state knew the event of."""

    accepted: int
    in_feature_state: int


class Model(msgspec.Struct, forbid_unknown_fields=True):
    """A model that is live."""

    alias: Literal["champion", "canary", "shadow"]
    percent: int  # of the customers, whom it answers
    version: str
    threshold: float
    members: dict[str, float]
    features: int
    feature_view_version: str
    since: str | None


class Models(msgspec.Struct, forbid_unknown_fields=True):
    """What is live."""

    application: str
    models: list[Model]


class ToldLabel(msgspec.Struct, forbid_unknown_fields=True):
    """The newest label that was told of an event."""

    label: Literal[0, 1]
    scenario: str | None
    known_time: str
    recorded_at: str


class Found(Decision, forbid_unknown_fields=True):
    """A decision that is recorded."""

    id: str
    member_logits: list[float]
    event_time: str
    received_at: str
    latency_us: int
    label: ToldLabel | None


class Fault(msgspec.Struct, forbid_unknown_fields=True):
    """What is wrong where in a request."""

    field: str
    rule: str


class Refused(msgspec.Struct, forbid_unknown_fields=True):
    """Why a request was refused."""

    code: Code
    message: str
    request_id: str
    faults: list[Fault]


class Error(msgspec.Struct, forbid_unknown_fields=True):
    """The one shape of all errors."""

    error: Refused
