"""Who acts, as the ledger, the audit log and the list of jobs tell it."""

import getpass
import os


def user() -> str:
    """The name of this process's user, or `uid 1234`: a container's user may have none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # OSError from Python 3.13 on
        return f"uid {os.getuid()}"
