"""What a replica is given by whoever starts it."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from workbench.config import DataConfig
from workbench.digest import digest
from workbench.feedback import prediction_log
from workbench.governance.settings import AccessConfig
from workbench.release.settings import GuardrailsConfig


@dataclass(frozen=True)
class Settings:
    """Names of things in the store and digests, no secret."""

    application: str
    store: str
    version: str
    public_key: str  # hex
    api_key_digest: str
    keys_folder: str  # where the replica finds the pseudonym key
    data: DataConfig
    raw_key: str
    validated_key: str
    history_until_us: int | None  # events of the snapshot before this are history; None: none is
    journal: str
    compact_every_s: float
    max_body_bytes: int
    ahead_days: float  # how far an event may lie ahead of the newest one
    redis_url: str | None = None  # where the feature state is shared; None: it lives in the process
    dimensions: dict[str, str] = field(default_factory=dict)  # the key of each table's snapshot
    max_batch_body_bytes: int = 2_097_152
    journal_limit_bytes: int = 1_000_000_000  # so much that is not in the tables yet refuses whatever must be recorded
    slow_at_once: int = 64  # batches, explanations, calls with labels; and reads of the log; more are refused
    max_wait_s: float = 0.5  # while another request has waited for longer, the next one is refused
    at_once: int = 100  # events to score that are let in; Serve's autoscaling counts these
    retry_after_s: float = 1.0  # what that refusal says
    log_requests: bool = False
    cores: tuple[int, ...] = ()  # that replicas are pinned to, one each
    follows: bool = False  # whether it serves what the release ledger says, as that changes, and not `version` alone
    guardrails: GuardrailsConfig = field(default_factory=GuardrailsConfig)
    access: AccessConfig = field(default_factory=AccessConfig)  # who may ask what; nobody anything, unless it is said

    @property
    def identity(self) -> str:
        """The name of an endpoint, whatever version it serves, and whichever default key it has by now."""
        return digest(replace(self, version="", follows=False, api_key_digest=""))

    @property
    def log(self) -> str:
        """The name of its prediction log."""
        return prediction_log.log_name(self.application, self.raw_key)

    @property
    def folder(self) -> Path:
        """The folder of its journal: one per log and store."""
        return Path(self.journal) / f"{self.log}-{digest(self.store)}"
