"""A replica follows the release ledger: what is released is loaded beside the answering, and taken when it is sound.

Every second one look at the small file that says what is live. A version that is new here is verified, loaded, warmed
and tried in this thread; then the one reference by which requests are answered is switched. A version that cannot be
taken is written into the ledger as refused, with the reason, and is live nowhere: no request was answered by it.
"""

import logging
import math
import statistics
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from serve.models import Models
from workbench.data.store import Store
from workbench.errors import EnvironmentFault, StoreError
from workbench.models.bundle import Bundle, open_bundle
from workbench.release import guardrails, ledger
from workbench.release.evidence import Evidence
from workbench.release.ledger import Act
from workbench.release.releases import GONE, Releases

if TYPE_CHECKING:
    from serve.service import Service
    from serve.settings import Settings

LOOK_S = 1.0
TRIES, PAUSE_S = 3, 1.0  # for what the environment refuses, such as a store that is away
WARM_RUNS = 20
ROBOT = "endpoint"  # who acts, where no person does
log = logging.getLogger("ray.serve")


class Untaken(Exception):
    """Why a version is not taken."""


class OtherView(Untaken):
    """It is of another feature view than the state: a replica that starts with it can take it."""


class Follower:
    """Keeps a service's models as the ledger says, and rolls back a canary that harms."""

    def __init__(self, service: "Service") -> None:
        self._service, self._store = service, service.store
        self._application, self._cfg = service.settings.application, service.settings.guardrails
        self._evidence = Evidence(service.store, service.settings.log, self._cfg)
        self._step = service.models.step  # of the ledger, that was followed last
        self.waits = False  # for a restart: the ledger went back to a champion of another feature view

    def start(self) -> None:
        """Follow from now on, in a thread of its own."""
        threading.Thread(target=self._follow_for_ever, name="follower", daemon=True).start()

    def follow(self) -> None:
        """Take what the ledger says now, if that is not what answers."""
        live = ledger.told(self._store, self._application)
        while live is not None and live.step != self._step:
            following = self._taken(live)
            self._step, live = live.step, following

    def publish(self) -> None:
        """Write the small file again where whoever acted could not."""
        ledger.publish(self._store, self._application)

    def judge(self) -> None:
        """Roll the canary back where the guardrails say so; let it go on to its next share where they do not."""
        live = ledger.told(self._store, self._application)
        if live is None or live.canary is None:
            return
        canary, counts = live.canary, self._evidence.of(live.canary)
        if reason := guardrails.harm(counts, self._cfg):
            self._act(live, Act(canary.version, "rollback", reason, ROBOT))
            log.error("canary %s is rolled back: %s", canary.version, reason)
        elif percent := guardrails.next_percent(counts, canary, self._cfg):
            why = f"{counts.at_share:,} pairs at {canary.percent} %, no harm"
            self._act(live, Act(canary.version, "advance", why, ROBOT, percent))

    def _taken(self, live: Releases) -> Releases | None:
        """None: these are the models now; else what is live after one of them was refused."""
        held = self._service.models.held()
        for version in _wanted(live):
            if version not in held:
                try:
                    held[version] = self._sound(version)
                except Untaken as reason:
                    self.waits = isinstance(reason, OtherView) and version == live.champion and self._went_back()
                    if not self.waits:
                        return self._refused(version, str(reason))
                    log.error("what answered goes on to answer until this endpoint is restarted: %s", reason)
                    return None
        champion = held[live.champion] if live.champion else self._service.models.champion
        canary = held[live.canary.version] if live.canary else None
        shadows = tuple(held[version] for version in live.shadows)
        percent, self.waits = live.canary.percent if live.canary else 0, False
        self._service.models = Models(champion, canary, percent, shadows, live.step)
        log.warning("%s: release step %d is live here: %s", self._application, live.step, live)
        return None

    def _went_back(self) -> bool:
        """Whether the ledger's champion is one that was champion before: to refuse it would leave none."""
        told: list[str] = [row["action"] for row in ledger.history(self._store, self._application)]
        return next(action for action in reversed(told) if action in ("promote", "rollback", *GONE)) != "promote"

    def _refused(self, version: str, reason: str) -> Releases | None:
        log.error("version %s is refused: %s", version, reason)
        ledger.refuse(self._store, self._application, version, reason)
        return ledger.told(self._store, self._application)

    def _sound(self, version: str) -> Bundle:
        """The version, loaded, warm and tried; raises `Untaken`."""
        for left in reversed(range(TRIES)):
            try:
                bundle = open_bundle(self._store.get("models", version), self._service.public_key)
                break
            except (EnvironmentFault, OSError) as error:
                if not left:
                    raise Untaken(f"it could not be loaded: {error}") from error
                time.sleep(PAUSE_S)
            except Exception as error:
                raise Untaken(f"it could not be loaded: {error}") from error
        names = self._service.state.feature_set
        if bundle.feature_set.digest != names.digest:
            raise OtherView(
                f"its feature view {bundle.feature_set.digest} is not {names.digest}, whose state this endpoint holds."
                " Stop the endpoint, promote the version, and start it again."
            )
        if reason := fault(bundle, [names.zeros, *self._service.recent], self._cfg.score_ms):
            raise Untaken(reason)
        return bundle

    def _act(self, live: Releases, act: Act) -> None:
        """Write an act, unless another replica, or a person, was first."""
        ledger.append(self._store, self._application, act, live)

    def _follow_for_ever(self) -> None:
        while True:
            time.sleep(LOOK_S)
            try:
                self.follow()
            except Exception as error:  # noqa: BLE001 - the thread must live on, whatever a library raises
                log.error("the release ledger could not be followed: %s", error)


def first(store: Store, settings: "Settings", public_key: Ed25519PublicKey) -> Bundle:
    """The version that answers when a replica starts: the ledger's champion, or the one before where that is unsound.

    Before the first release, and where the ledger is not followed, it is the one that the settings name.
    """
    while True:
        live = ledger.publish(store, settings.application) if settings.follows else Releases()
        version = live.champion or settings.version
        try:
            return open_bundle(store.get("models", version), public_key)
        except StoreError as error:
            if len(live.promoted) < 2:
                raise
            log.error("version %s is refused: %s", version, error)
            ledger.refuse(store, settings.application, version, str(error))


def fault(bundle: Bundle, rows: Sequence[list[float]], score_ms: float) -> str | None:
    """Why a loaded version must not answer; None: nothing says so. It is warm afterwards."""
    times_ms = []
    for run in range(max(WARM_RUNS, len(rows))):
        started = time.perf_counter()
        try:
            score, _ = bundle.scorer.one(rows[run % len(rows)])
        except Exception as error:  # noqa: BLE001 - whatever its graph does
            return f"it does not score: {type(error).__name__}"
        times_ms.append((time.perf_counter() - started) * 1000)
        if not math.isfinite(score):
            return "its score of an event is no number"
        if sum(times_ms) > WARM_RUNS * 10 * score_ms:
            break
    if (middle := statistics.median(times_ms)) > score_ms:
        return f"a score takes {middle:.1f} ms; serve.guardrails.score_ms={score_ms:g} are allowed"
    return None


def _wanted(live: Releases) -> list[str]:
    versions = (live.champion, live.canary and live.canary.version, *live.shadows)
    return [version for version in versions if version]
