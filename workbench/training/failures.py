"""What a failed training means to the person who waits for it."""

from ray.exceptions import RayError, RayTaskError
from ray.train import TrainingFailedError

from workbench import cluster
from workbench.config import ScalingConfig
from workbench.errors import EnvironmentFault, WorkbenchError

OUT_OF_MEMORY = ("OutOfMemory", "MemoryError", "bad_alloc", "not enough memory", "out of memory", "low on memory")
KILLED = ("ActorDiedError", "died unexpectedly", "SYSTEM_ERROR")  # by a signal: Ray cannot know whose
RESUME = "Run the command again: it goes on from the last checkpoint."


def told(family: str, error: BaseException, scaling: ScalingConfig) -> WorkbenchError:
    """The error of ours that says what happened, and what helps."""
    causes = _causes(error)
    for one in causes:
        if ours := cluster.ours(one):
            return ours
    texts = _texts(causes)
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


def _causes(error: BaseException) -> list[BaseException]:
    return [*(getattr(error, "worker_failures", None) or {}).values(), error]


def _texts(causes: list[BaseException]) -> list[str]:
    return [f"{type(one).__name__} {one}" for one in causes]


def passing(error: BaseException) -> bool:
    """Whether it may go better the next time: a lost object or process, a file that could not be read or written.

    What we or a model's library refuse is refused again.
    """
    if isinstance(lost := error.__cause__, TrainingFailedError):
        return any(mark in text for text in _texts(_causes(lost)) for mark in KILLED)
    cause = getattr(error, "cause", None) if isinstance(error, RayTaskError) else error
    return isinstance(cause, RayError | OSError | MemoryError) and cluster.ours(error) is None


def _line(text: str) -> str:
    """The end of a text, where a traceback says what happened, in one line."""
    return " ".join(text.split())[-400:].rstrip(".")
