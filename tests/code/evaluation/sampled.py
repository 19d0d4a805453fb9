"""Scored rows of made-up customers, for the tests of all judgements."""

import numpy as np

from workbench.evaluation.scored import Scored

DAY = 86_400_000_000


def scored(
    rows: int = 600, cards: int | None = 40, seed: int = 0, share: float = 0.2, levels: int | None = None
) -> Scored:
    """Two models, the second better; `levels` makes scores tie, customers have a risk of their own."""
    random = np.random.default_rng(seed)
    card_N = random.integers(0, cards or rows, rows)
    risk = random.normal(0, 1, cards or rows)[card_N]
    label_N = (random.random(rows) < share).astype(np.int8)
    scores = {
        name: (strength * label_N + 0.5 * risk + random.normal(0, 1, rows)).astype(np.float64)
        for name, strength in (("weak", 0.7), ("strong", 1.5))
    }
    if levels:
        scores = {name: np.round(z_N * levels) / levels for name, z_N in scores.items()}
    flagged = {name: z_N >= np.quantile(z_N, 0.9) for name, z_N in scores.items()}
    time_N = np.sort(random.integers(0, 4 * DAY, rows))
    return Scored("test", np.arange(rows), label_N, time_N, card_N if cards else None, scores, flagged)
