"""What a person may do with a version: every fault of what is asked is told at once, then the ledger has it.

`workloads.deploy` and the admin route both call `act`; endpoints follow by themselves.
"""

from collections.abc import Iterator, Sequence

from workbench.data.store import Store
from workbench.errors import ConfigError, EnvironmentFault, raise_all
from workbench.features.parity import holds
from workbench.release import ledger
from workbench.release.ledger import Act
from workbench.release.releases import SHADOWS, Releases
from workbench.release.settings import ACTIONS

TRIES = 20  # for the ledger, beside others who write to it


def act(
    store: Store,
    application: str,
    action: str,
    version: str | None,
    reason: str | None,
    who: str | None = None,
    canary_percent: int | None = None,
    canary_steps: Sequence[int] = (),
) -> Releases:
    """What is live after an action; raises `ConfigError` with every fault of it, and then the ledger is as before.

    `version`: of a rollback it may be None: the canary, or else the champion. `who`: None is this process's user.
    """
    for _ in range(TRIES):
        live = ledger.live_releases(store, application)
        meant = _rolled_back(live) if action == "rollback" and version is None else version
        asked = _Asked(store, application, live, action, meant, reason, canary_percent, tuple(canary_steps))
        raise_all(ConfigError, f"Nothing is done with {application}:", list(asked.faults()))
        if (now := ledger.append(store, application, asked.row(who), live)) is not None:
            return now
    raise EnvironmentFault(f"The release ledger of {application} is written by others all the time. Try again.")


def _rolled_back(live: Releases) -> str | None:
    return live.canary.version if live.canary else live.champion


class _Asked:
    """An action on what is live now."""

    def __init__(
        self,
        store: Store,
        application: str,
        live: Releases,
        action: str,
        version: str | None,
        reason: str | None,
        percent: int | None,
        steps: tuple[int, ...],
    ) -> None:
        self.store, self.application, self.live = store, application, live
        self.action, self.version, self.reason = action, version, (reason or "").strip()
        self.alias = live.alias(version) if version else None
        self.said, self.steps = percent, steps
        self.percent = next(iter(steps), None) if percent is None else percent

    def row(self, who: str | None) -> Act:
        """What the ledger is to keep."""
        assert self.version is not None, "it has no faults"
        if self.action != "canary":
            return Act(self.version, self.action, self.reason, who)
        following = tuple(one for one in self.steps if one > (self.percent or 0))
        return Act(self.version, self.action, self.reason, who, self.percent, following)

    def faults(self) -> Iterator[str]:
        """Everything that is wrong, each with key, value, rule and remedy."""
        if self.action not in ACTIONS:
            yield f"release.action={self.action} is unknown. Use one of: {', '.join(ACTIONS)}."
        if not self.reason:
            yield "release.reason is not set: the ledger says why. Set it."
        yield from self._percent_faults()
        if self.version is None:
            yield from self._missing()
            return
        if self.store.find("models", self.version) is None:
            yield f"release.version={self.version} is no version in {self.store.root}. Register it first."
        yield from self._alias_faults()
        if self.action in ("shadow", "canary", "promote"):
            yield from self._gate_faults()

    def _missing(self) -> Iterator[str]:
        if self.action == "rollback":
            yield f"Nothing of {self.application} is live: there is nothing to roll back."
        elif self.action in ACTIONS:
            yield f"release.version is not set, and release.action={self.action} is of one. Name it."

    def _percent_faults(self) -> Iterator[str]:
        if self.action != "canary":
            if self.said is not None:
                yield f"release.canary_percent={self.said} says nothing of release.action={self.action}. Leave it out."
            return
        if self.percent is None:
            yield "release.canary_percent is not set, and there are no steps. Set it, from 1 to 100."
        elif isinstance(self.percent, bool) or not 1 <= self.percent <= 100:
            yield f"release.canary_percent={self.percent} must be from 1 to 100."
        steps = list(self.steps)
        if steps != sorted(set(steps)) or not all(1 <= one <= 100 for one in steps):
            yield f"release.canary_steps={steps} must ascend, each from 1 to 100."

    def _alias_faults(self) -> Iterator[str]:
        live, named = self.live, f"release.version={self.version}"
        if self.action in ("shadow", "canary", "promote", "retire") and self.alias == "champion":
            other = " Promote another, or roll it back." if self.action == "retire" else " Name another version."
            yield f"{named} is the champion of {self.application}: it cannot be {_DONE[self.action]}.{other}"
        if self.action in ("shadow", "canary") and live.champion is None:
            yield f"{self.application} has no champion to stand beside. Use release.action=promote."
        if self.action == "shadow":
            yield from self._shadow_faults()
        if self.action == "canary" and live.canary and live.canary.version != self.version:
            yield f"{live.canary.version} is the canary already. Promote, roll back or retire it first."
        if self.action == "retire" and self.alias in (None, "challenger"):
            yield f"{named} is not released: there is nothing to retire."
        if self.action == "rollback":
            yield from self._rollback_faults()

    def _shadow_faults(self) -> Iterator[str]:
        if self.alias in ("shadow", "canary"):
            yield f"release.version={self.version} is {self.alias} already. Roll it back or retire it first."
        elif len(self.live.shadows) >= SHADOWS:
            there = ", ".join(self.live.shadows)
            yield f"{there} are shadows already, and {SHADOWS} are allowed. Retire one of them first."

    def _rollback_faults(self) -> Iterator[str]:
        if self.alias not in ("champion", "canary"):
            yield f"release.version={self.version} is neither canary nor champion. Leave it out, or retire it."
        if self.alias == "champion" and len(self.live.promoted) < 2:
            yield f"{self.version} is the first champion of {self.application}: there is nothing to go back to."

    def _gate_faults(self) -> Iterator[str]:
        """A version whose newest parity report is bad served numbers that it was not trained on."""
        asked = {"application": self.application, "model_version": self.version}
        reports = (self.store.get("parity", key) for key in reversed(self.store.keys("parity")))
        newest = next((one for one in reports if asked.items() <= one.figures.items()), None)
        if newest and not holds(newest.figures):
            yield f"release.version={self.version} failed its parity gate: {newest.uri}. Run workloads.parity again."


_DONE = {"shadow": "a shadow", "canary": "a canary", "promote": "promoted again", "retire": "retired"}
