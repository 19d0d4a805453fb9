"""What a replica is given, here or packed for another host, and whether it could score with that."""

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.config import Config
from workbench.data import dimensions
from workbench.data.store import Artifact
from workbench.errors import ConfigError
from workbench.features import functions, lookups
from workbench.features.definitions import FeatureSet
from workbench.feedback import prediction_log
from workbench.governance.keys import Keys, api_key_digest
from workbench.models.bundle import verified_files
from workbench.release import gates
from workloads import ingest, validate

if TYPE_CHECKING:
    from serve.settings import Settings


def settings_of(cfg: Config, version: Artifact, follows: bool = False) -> "Settings":
    """What a replica is given."""
    from serve import crowd
    from serve.settings import Settings

    keys = Keys(cfg.keys.folder)
    return Settings(
        application=cfg.serve.application,
        store=version.store.root,
        version=version.key,
        public_key=keys.verifying().public_bytes_raw().hex(),
        api_key_digest=api_key_digest(keys.api()),
        keys_folder=str(Path(cfg.keys.folder).expanduser()),
        data=cfg.data,
        raw_key=ingest.key(cfg),
        validated_key=validate.key(cfg),
        history_until_us=history_until(cfg),
        journal=str(Path(cfg.serve.journal).resolve()),
        compact_every_s=cfg.serve.compact_every_s,
        max_body_bytes=cfg.serve.max_body_bytes,
        ahead_days=cfg.serve.ahead_days,
        redis_url=cfg.serve.redis_url if cfg.serve.state == "redis" else None,
        dimensions=dimensions.keys(cfg.features.tables),
        max_batch_body_bytes=cfg.serve.running.max_batch_body_bytes,
        slow_at_once=cfg.serve.running.slow_at_once,
        max_wait_s=cfg.serve.running.max_wait_s,
        at_once=crowd.room(cfg.serve.running.autoscaling.target_requests),
        retry_after_s=cfg.serve.running.retry_after_s,
        journal_limit_bytes=cfg.serve.running.journal_limit_bytes,
        log_requests=cfg.serve.running.log_requests,
        cores=tuple(cfg.serve.running.cores),
        access=cfg.serve.access,
        follows=follows,
        guardrails=cfg.serve.guardrails,
    )


def packed(cfg: Config, version: Artifact, folder: Path) -> None:
    """Fill a folder with a version and all that scores it on a host without our store (`serve/package.py`)."""
    from serve import package

    check_version(cfg, version)
    validate.run(cfg)
    dimensions.snapshot_all(version.store, cfg.features.tables)
    package.write(folder, version.store, settings_of(cfg, version), Keys(cfg.keys.folder).signing())


def package_key(cfg: Config, version: Artifact) -> str:
    """The name of that package, known before it is made."""
    from serve import package

    return package.key(settings_of(cfg, version), Keys(cfg.keys.folder).verifying())


def history_until(cfg: Config) -> int | None:
    """Events of the snapshot before this time (us since 1970) are the endpoint's history; None: none is."""
    start = cfg.replay.start
    return round(dt.datetime.fromisoformat(start).replace(tzinfo=dt.UTC).timestamp() * 1e6) if start else None


def check_version(cfg: Config, version: Artifact) -> None:
    """Refuse here what a replica would refuse, or could not score: then nothing is started."""
    about, files = verified_files(version, Keys(cfg.keys.folder).verifying())
    names = FeatureSet.from_json(json.loads(files["features.json"]))
    functions.check(names.features)
    declared = {*cfg.data.columns, *lookups.declared(cfg.features.tables)}
    if missing := sorted((names.columns | names.looked_up) - declared):
        card = json.loads(files["card.json"])
        raise ConfigError(
            f"version {about['version']} was trained on {card['data']} and needs {', '.join(missing)}, which"
            f" data={cfg.data.name} and features.tables do not have. Use experiment={card['experiment']}, or another"
            " serve.version."
        )
    log = prediction_log.log_name(cfg.serve.application, ingest.key(cfg))
    gates.check_parity(version.store, log, names.digest)
