"""What a failed training means to the person who waits for it."""

from workbench import cluster
from workbench.config import ScalingConfig
from workbench.errors import EnvironmentFault, WorkbenchError

OUT_OF_MEMORY = ("OutOfMemory", "MemoryError", "bad_alloc", "not enough memory", "out of memory", "low on memory")
KILLED = ("ActorDiedError", "died unexpectedly", "SYSTEM_ERROR")  # by a signal: Ray cannot know whose
RESUME = "Run the command again: it goes on from the last checkpoint."


def told(family: str, error: BaseException, scaling: ScalingConfig) -> WorkbenchError:
    """The error of ours that says what happened, and what helps."""
    causes = [*(getattr(error, "worker_failures", None) or {}).values(), error]
    for one in causes:
        if ours := cluster.ours(one):
            return ours
    texts = [f"{type(one).__name__} {one}" for one in causes]
    line = _line(str(causes[0]))
    workers = f"scaling.workers={scaling.workers}"
    if any(mark in text for text in texts for mark in OUT_OF_MEMORY):
        return EnvironmentFault(
            f"Training {family} ran out of memory in a worker ({line}). Each of {workers} holds its share of the rows:"
            f" use more workers on more machines, fewer rows, or for networks a smaller batch or layers. {RESUME}"
        )
    if any(mark in text for text in texts for mark in KILLED):
        return EnvironmentFault(
            f"Training {family} failed: workers were killed more than scaling.max_failures={scaling.max_failures} times"
            f" ({line}). Where the system's log names its out-of-memory killer, use more machines or fewer rows."
            f" {RESUME}"
        )
    return EnvironmentFault(f"Training {family} failed: {line}. {RESUME}")


def _line(text: str) -> str:
    """The end of a text, where a traceback says what happened, in one line."""
    return " ".join(text.split())[-400:].rstrip(".")
