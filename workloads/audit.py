"""Show the audit log, every refusal and every act of an operator in the order of time, and whether it was altered.

Reads:  audit log
Writes: nothing; exit code 1 where a line or a file was changed, moved or left out
Run:    python -m workloads.audit
"""

import json
from pathlib import Path

from workbench.config import Config
from workbench.errors import GateRefused, raise_all
from workbench.governance import audit
from workbench.progress import say
from workloads import door


def run(cfg: Config) -> None:
    """Print the log, one JSON line each; raise `GateRefused` where its chain is broken."""
    folder = Path(cfg.serve.journal) / audit.FOLDER
    for one in audit.lines(folder):
        print(json.dumps(one))
    raise_all(GateRefused, "The audit log was altered:", list(audit.faults(folder)))
    say(f"  {len(audit.files(folder))} file(s) in {folder}, none altered")


if __name__ == "__main__":
    door.main(run, __doc__)
