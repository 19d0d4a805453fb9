"""Is a worse canary rolled back soon, and an equal one left alone? Against a z-test that is looked at as often.

Each replay is its own stream of events for two real models, which the endpoint's own code lets answer, record and
count, and which its guardrails look at after every 100 pairs. The worse canary decides otherwise than the champion in
4 % of the events where 2 % are allowed, the equal one in 2 %. Peer: a one-sided z-test of the same counts at the same
level, as it is done by hand. The exit code is 1 where fewer than 95 of 100 worse canaries are rolled back within 2,500
pairs, or more than 5 equal ones ever.

    python -m benchmarks.canary [--json FILE] [--replays 100] [--seed 20261126]
"""

import math
import statistics
import sys
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from benchmarks import graphs, table
from benchmarks.table import Row
from serve.models import Models
from workbench.errors import GateRefused
from workbench.features.definitions import FeatureSet
from workbench.feedback.prediction_log import PREDICTIONS
from workbench.models.bundle import Bundle
from workbench.models.scorer import Scorer
from workbench.progress import say
from workbench.release import guardrails
from workbench.release.evidence import COLUMNS, counted
from workbench.release.guardrails import Counts
from workbench.release.settings import GuardrailsConfig
from workloads import door

LOOK = 100  # pairs from one look to the next
WORSE, PAIRS, EQUAL_PAIRS = 0.04, 2500, 10_000
WANTED, ALLOWED = 0.95, 0.05  # shares of the replays: worse ones rolled back, equal ones rolled back
CFG = GuardrailsConfig()
BOUND = statistics.NormalDist().inv_cdf(1 - CFG.alpha)  # of the z-test
TYPES = pa.schema([PREDICTIONS.field(name) for name in COLUMNS])
SIDES = ("ours", "peer")


def main() -> None:
    """Replay and print the table."""
    parser = table.parser(__doc__)
    parser.add_argument("--replays", type=int, default=100, help="of each canary")
    parser.add_argument("--seed", type=int, default=20261126, help="of the first replay; the others count up from it")
    arguments = parser.parse_args()

    def work() -> None:
        seeds = range(arguments.seed, arguments.seed + arguments.replays)
        rows = compared(seeds)
        table.tell(rows, arguments.json)
        _check(rows, arguments.replays)

    sys.exit(door.guarded(work))


def compared(seeds: range) -> list[Row]:
    """How many replays each side rolls back, and after how many pairs."""
    worse = [rolled_back_at(seed, WORSE, PAIRS) for seed in seeds]
    say(f"  {len(seeds)} worse canaries replayed")
    equal = [rolled_back_at(seed, CFG.disagreement, EQUAL_PAIRS) for seed in seeds]
    ours, peer = (statistics.median(one[side] or math.inf for one in worse) for side in SIDES)
    return [
        _row(f"worse rolled back in {PAIRS:,} pairs", worse, True),
        _row(f"equal left alone for {EQUAL_PAIRS:,} pairs", equal, False),
        Row("pairs until a worse is rolled back", ours, peer, "pairs, median"),
    ]


def rolled_back_at(seed: int, share: float, pairs: int) -> dict[str, int | None]:
    """After how many pairs each side rolls a canary back that differs in this share of its decisions; None: never."""
    found: dict[str, int | None] = dict.fromkeys(SIDES)
    counts = Counts()
    for more in looks(seed, share, pairs):
        counts += more
        said = (guardrails.harm(counts, CFG) is not None, z_test(counts))
        for side, harmful in zip(SIDES, said, strict=True):
            if found[side] is None and harmful:
                found[side] = counts.pairs
        if None not in found.values():
            break
    return found


def looks(seed: int, share: float, pairs: int) -> Iterator[Counts]:
    """What is counted from one look to the next, of decisions that both models made."""
    random, models = np.random.default_rng(seed), Models(model("champion", 0), model("canary", 100), 100)
    for _ in range(0, pairs, LOOK):
        plain_L = random.normal(size=LOOK)
        turned_L = np.where(random.random(LOOK) < share, -np.sign(plain_L), 0.0)
        decided = [models.decide("customer", list(row)) for row in zip(plain_L, turned_L, strict=True)]
        records = [{"score": one.score, "flagged": one.flagged, **one.beside} for one in decided]
        yield counted(pa.Table.from_pylist(records, TYPES), CFG)


def z_test(counts: Counts) -> bool:
    """Whether a test of a share, taken as if this were the only look, says that too many decisions differ."""
    allowed = CFG.disagreement
    spread = math.sqrt(counts.pairs * allowed * (1 - allowed))
    return counts.differing - counts.pairs * allowed > BOUND * spread


def model(version: str, turns: float) -> Bundle:
    """A real model of two features: it flags where the first is positive, but the second turns that by this weight."""
    nothing = FeatureSet((), "id", "time", "time")
    return Bundle(version, 0.5, ("linear",), (1.0,), Scorer(graphs.linear([4, turns])), nothing, {}, {})


def _row(case: str, found: list[dict[str, int | None]], wanted: bool) -> Row:
    ours, peer = (sum((one[side] is not None) == wanted for one in found) for side in SIDES)
    return Row(case, ours, peer, f"of {len(found)}")


def _check(rows: list[Row], replays: int) -> None:
    worse, equal, _ = rows
    if worse.ours < WANTED * replays or equal.ours < (1 - ALLOWED) * replays:
        raise GateRefused("The guardrails do not hold. See the table.")


if __name__ == "__main__":
    main()
