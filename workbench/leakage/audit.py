"""All checks of one table, with one rate of false alarms over all of them.

Each check gets an equal share of the rate and divides it by the tests that it does (Bonferroni): the chance that a
table without a leak is refused is at most the rate. Checks that compare values exactly need none.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from workbench.leakage import collapse, corroborated, determined, groups, later, order, overlap
from workbench.leakage.findings import Finding, once
from workbench.leakage.table import Audited

Tested = Callable[[Audited, float], Iterator[Finding]]
TESTED: tuple[Tested, ...] = (
    order.orders,
    groups.statistics,
    groups.encodings,
    collapse.parts,
    collapse.periods,
    collapse.entities,
)
WHOLE = (groups.statistics,)  # draw their own samples: whole groups
EXACT = (overlap.copies, overlap.shared_entities, overlap.mixed_times, later.statistics)


def audit(table: Audited, false_alarm_rate: float, limit: int, accept: tuple[str, ...] = ()) -> list[Finding]:
    """What all checks find, leaks first; `limit` rows (fixed seed) serve the tests, all rows the exact comparisons."""
    level = false_alarm_rate / (len(TESTED) + 1)
    some = table.sample(limit)
    found = [one for check in EXACT for one in check(table)]
    for check in TESTED:
        found += check(table if check in WHOLE else some, level)
    leaking = {one.column for one in found if one.leak}
    found += corroborated.judged(some, determined.suspects(some, level), leaking)
    told = [replace(one, leak=one.leak and one.column not in accept) for one in found]
    return once(sorted(told, key=lambda one: not one.leak))
