"""What is live of an application, as its ledger's rows make it, one after the other. Pure: no store, no clock.

| action | does to the version |
|---|---|
| `challenge` | it stands beside the live ones, and gets no traffic |
| `shadow` | it scores beside the champion, and never answers |
| `canary`, `advance` | it answers a share of the customers; a larger share |
| `promote` | it is the champion, and no shadow or canary any more |
| `rollback` | the canary gets no traffic any more; or the champion before it is champion again |
| `retire`, `withdraw`, `refuse` | it is nothing any more, and no rollback goes back to it |

`refuse` is what a replica writes that could not take a version, `withdraw` what a gate writes that found out later.
"""

import json
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

SHADOWS = 3  # at most
GONE = ("retire", "withdraw", "refuse")


@dataclass(frozen=True)
class Canary:
    """A version that answers a share of the customers."""

    version: str
    percent: int
    steps: tuple[int, ...] = ()  # the shares that follow by themselves, ascending
    since_us: int = 0  # decisions from then on are its evidence
    stepped_us: int = 0  # since then it has this share

    @property
    def next_percent(self) -> int | None:
        """The share that follows; None at the last."""
        return next((percent for percent in self.steps if percent > self.percent), None)


@dataclass(frozen=True)
class Releases:
    """What is live after `step` rows of the ledger."""

    step: int = 0
    promoted: tuple[str, ...] = ()  # not withdrawn since, each once, the newest promotion last
    shadows: tuple[str, ...] = ()
    canary: Canary | None = None
    challenger: str | None = None

    @property
    def champion(self) -> str | None:
        """The version that answers; None before the first release."""
        return self.promoted[-1] if self.promoted else None

    def __str__(self) -> str:
        canary = f", canary {self.canary.version} for {self.canary.percent} %" if self.canary else ""
        shadows = f", shadows {', '.join(self.shadows)}" if self.shadows else ""
        return f"champion {self.champion}{canary}{shadows}"

    def alias(self, version: str) -> str | None:
        """What a version is now: champion | canary | shadow | released (before) | challenger; None: nothing."""
        if version == self.champion:
            return "champion"
        if self.canary and version == self.canary.version:
            return "canary"
        named = (("shadow", self.shadows), ("released", self.promoted), ("challenger", (self.challenger,)))
        return next((alias for alias, versions in named if version in versions), None)

    def to_json(self) -> bytes:
        """The text of the small file that replicas watch."""
        return json.dumps(asdict(self), indent=1).encode()

    @classmethod
    def from_json(cls, content: bytes) -> "Releases":
        """What `to_json` wrote."""
        said: dict[str, Any] = json.loads(content)
        canary = said["canary"]
        lists = {name: tuple(said[name]) for name in ("promoted", "shadows")}
        made = _canary_of(canary) if canary else None
        return cls(said["step"], **lists, canary=made, challenger=said["challenger"])


def folded(rows: list[dict[str, Any]]) -> Releases:
    """What is live after these rows of one application, oldest first."""
    found = Releases()
    for row in rows:
        found = after(found, row)
    return found


def after(before: Releases, row: dict[str, Any]) -> Releases:
    """What is live after one more row."""
    changed = _CHANGES[row["action"]](before, row["version"], row)
    settled = replace(changed, step=before.step + 1)
    if settled.champion == before.champion or settled.canary is None:
        return settled
    compared = replace(settled.canary, since_us=_us(row), stepped_us=_us(row))  # with another one now
    return replace(settled, canary=compared)


def _challenged(live: Releases, version: str, _: dict[str, Any]) -> Releases:
    return replace(live, challenger=version)


def _shadowed(live: Releases, version: str, _: dict[str, Any]) -> Releases:
    beside = _without(live, version)
    return replace(beside, shadows=(*beside.shadows, version))


def _canaried(live: Releases, version: str, row: dict[str, Any]) -> Releases:
    same = live.canary if live.canary and live.canary.version == version else Canary(version, 0, (), _us(row))
    steps = tuple(row.get("canary_steps") or ())
    canary = replace(same, percent=int(row["canary_percent"]), steps=steps, stepped_us=_us(row))
    return replace(_without(live, version), canary=canary)


def _advanced(live: Releases, version: str, row: dict[str, Any]) -> Releases:
    if live.canary is None or live.canary.version != version:
        return live
    return replace(live, canary=replace(live.canary, percent=int(row["canary_percent"]), stepped_us=_us(row)))


def _promoted(live: Releases, version: str, _: dict[str, Any]) -> Releases:
    beside = _without(live, version)
    return replace(beside, promoted=(*(one for one in live.promoted if one != version), version))


def _rolled_back(live: Releases, version: str, _: dict[str, Any]) -> Releases:
    if live.canary and live.canary.version == version:
        return replace(live, canary=None)
    back = replace(live, promoted=tuple(one for one in live.promoted if one != version))
    return _without(back, back.champion)


def _gone(live: Releases, version: str, _: dict[str, Any]) -> Releases:
    back = replace(live, promoted=tuple(one for one in live.promoted if one != version))
    return _without(_without(back, version), back.champion)


def _without(live: Releases, version: str | None) -> Releases:
    """The same with a version neither canary nor shadow."""
    canary = None if live.canary and live.canary.version == version else live.canary
    return replace(live, canary=canary, shadows=tuple(one for one in live.shadows if one != version))


def _canary_of(said: dict[str, Any]) -> Canary:
    """A canary as the small file has it, which earlier code may have written, with other names."""
    known = {one.name: said[one.name] for one in fields(Canary) if one.name in said}
    return Canary(**{**known, "steps": tuple(said["steps"])})


def _us(row: dict[str, Any]) -> int:
    return int(row["at"].timestamp() * 1_000_000)


_CHANGES = {
    "challenge": _challenged,
    "shadow": _shadowed,
    "canary": _canaried,
    "advance": _advanced,
    "promote": _promoted,
    "rollback": _rolled_back,
    **dict.fromkeys(GONE, _gone),
}
