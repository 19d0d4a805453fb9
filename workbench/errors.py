"""Every error a user can meet. Each message says key, value, rule and remedy; each carries its exit code.

Exit codes: 1 a gate or contract said no; 2 the command line or the config is wrong; 3 an input or the environment is.
"""

from collections.abc import Sequence
from typing import ClassVar


class WorkbenchError(Exception):
    """The root of all errors raised on purpose. Picklable: the message is the only argument."""

    exit_code: ClassVar[int] = 3


class ConfigError(WorkbenchError, ValueError):
    """The command line or the configuration is wrong: nothing was started, nothing was written."""

    exit_code = 2


class InputError(WorkbenchError, ValueError):
    """Data, a file or a request does not hold what it must."""


class EnvironmentFault(WorkbenchError):
    """The machine cannot do it now: a port is taken, the disk is full, the cluster is away."""


class Diverged(EnvironmentFault):
    """A training's loss or weights are no numbers any more: it was stopped before it could save them."""


class StateUnavailable(EnvironmentFault):
    """The feature state that replicas share cannot be used now; nothing was taken in."""


class StoreError(WorkbenchError):
    """The store holds something that must not be used: truncated, altered, or of another format."""


class GateRefused(WorkbenchError):
    """A contract or a release gate looked at the evidence and said no."""

    exit_code = 1


def raise_all(kind: type[WorkbenchError], heading: str, faults: Sequence[str]) -> None:
    """Raise one `kind` that lists every fault on its own line; do nothing when there is none."""
    if faults:
        raise kind("\n  - ".join([heading, *faults]))
