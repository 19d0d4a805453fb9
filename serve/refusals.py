"""Every refusal in the audit log: who was refused which route, with which status, under which request id."""

import logging
import threading
import time
from typing import Any

from serve.answers import CODES, Refusal
from serve.principals import Asked
from workbench.governance.audit import AuditLog

EACH = 20  # equal refusals in a second that have a line each; of more, how many: a flood must not fill the disk
log = logging.getLogger("ray.serve")
Kind = tuple[str, str, int]


class Refusals:
    """Notes what was refused."""

    def __init__(self, audit: AuditLog) -> None:
        self._audit, self._lock = audit, threading.Lock()
        self._second, self._counts = 0, dict[Kind, int]()
        self._failing = False

    def note(self, asked: Asked, refused: Refusal) -> None:
        """Write it down; the refusal itself stands, whether or not that can be done."""
        kind, second = (asked.client, asked.route, refused.status), int(time.monotonic())
        if second != self._second:
            self.flush()
        with self._lock:
            self._second, self._counts[kind] = second, self._counts.get(kind, 0) + 1
            if self._counts[kind] <= EACH:
                self._write(kind, request_id=asked.request_id)

    def flush(self) -> None:
        """Write down how many more there were of each kind than have lines."""
        with self._lock:
            for kind, times in self._counts.items():
                if times > EACH:
                    self._write(kind, times=times - EACH)
            self._counts.clear()

    def _write(self, kind: Kind, **more: Any) -> None:
        client, route, status = kind
        try:
            self._audit.write(act="refused", client=client, route=route, status=status, code=CODES[status], **more)
            self._failing = False
        except OSError as error:
            if not self._failing:  # once, not at every refusal
                log.error("the audit log cannot be written: %s", error)
            self._failing = True
