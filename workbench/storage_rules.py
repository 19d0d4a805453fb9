"""Where no secret may lie: in the store, and in what names it."""

from collections.abc import Iterator
from pathlib import Path

from workbench.config import Config


def faults(cfg: Config) -> Iterator[str]:
    """Secrets lie outside the store, which others may read, copy and back up."""
    scheme, _, rest = cfg.storage.root.rpartition("://")
    if scheme not in ("", "file"):
        yield from _bucket_faults(rest)
        return
    root, keys = (Path(one).expanduser().resolve() for one in (rest, cfg.keys.folder))
    if keys.is_relative_to(root):
        yield (
            f"keys.folder={cfg.keys.folder} lies in storage.root={cfg.storage.root}, and keys must not lie in the"
            " store. Use a folder outside it."
        )


def _bucket_faults(path: str) -> Iterator[str]:
    """What belongs into the environment: what is written here is shown, and what follows a ? would end every path."""
    if "@" in path.partition("/")[0]:
        yield "storage.root holds a key, and configs are shown. Leave it to AWS_ACCESS_KEY_ID and its like."
    elif "?" in path:
        yield "storage.root has settings after a ?. Leave them to AWS_ENDPOINT_URL and AWS_REGION."
