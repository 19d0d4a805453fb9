"""Sign every model version anew, after the signing key was replaced: each is first verified by the old key.

Reads:  model versions; the old key (signing.key.old in keys.folder, or WORKBENCH_OLD_SIGNING_KEY)
Writes: their signatures; the endpoint has the new key once it is deployed again
Run:    python -m workloads.resign
"""

import sys
from collections.abc import Sequence

from workbench.data.store import Store
from workbench.governance.keys import Keys
from workbench.progress import say
from workbench.release.resign import resign
from workloads import door


def main(words: Sequence[str]) -> None:
    """Sign them, and say how many there were."""
    cfg = door.composed(words)
    keys = Keys(cfg.keys.folder)
    done = resign(Store(cfg.storage.root), keys.retired(), keys.signing())
    say(f"  {len(done.signed)} versions signed, {len(done.before)} had the new signature already")
    say("  deploy again: an endpoint that runs still trusts the old key alone; then remove signing.key.old")


if __name__ == "__main__":
    sys.exit(door.guarded(lambda: main(sys.argv[1:])))
