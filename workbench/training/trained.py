"""What a family gives once it is trained: its fits, and the number of steps that the selecting ones chose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from workbench.digest import sha256
from workbench.training import segments
from workbench.training.checkpoints import Shelf
from workbench.training.fits import Fit, Fitted, best_step


@dataclass(frozen=True)
class Trained:
    """A family after training: its fits by fold and seed, and the number of rounds or epochs that was chosen."""

    family: str
    steps: int
    fits: dict[tuple[str, int], Fitted]
    segments: dict[int, pa.Table] = field(default_factory=dict)  # what each attempt did, see `segments.py`
    checkpoints: dict[str, str] = field(default_factory=dict)  # the files of its fits: URI and SHA-256

    @classmethod
    def of(cls, family: str, fits: Sequence[Fit], packed: Mapping[str, bytes], shelf: Shelf) -> "Trained":
        """What its workers gave for these fits, packed by name, and left on the shelf."""
        done = {(fit.fold, fit.seed): Fitted.from_bytes(packed[fit.name]) for fit in fits}
        selecting = [done[fit.fold, fit.seed] for fit in fits if fit.selects]
        steps = best_step(selecting) if selecting else max(done[fits[0].fold, fits[0].seed].steps)
        kept = {shelf.uri_of_fit(name): sha256(content) for name, content in packed.items()}
        return cls(family, steps, done, segments.read(shelf.store.fs, f"{shelf.folder}/history"), kept)

    def logits_N(self, fold: str, seeds: Sequence[int]) -> np.ndarray:
        """Log-odds of a selecting fold's scored rows at the chosen step, averaged over those of the seeds it has."""
        chosen = [
            fit.logits_at(self.steps) for (name, seed), fit in self.fits.items() if name == fold and seed in seeds
        ]
        return np.mean(chosen, axis=0)
