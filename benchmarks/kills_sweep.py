"""What a killed driver may change of a sweep: nothing. Finished trials are kept, and only the others tried again."""

import random
import re
import shutil
import time

from pyarrow import fs

from benchmarks.kills_command import LOOK_EVERY_S, TIME_LIMIT_S, Command
from benchmarks.table import Row
from workbench.errors import EnvironmentFault
from workbench.progress import say
from workbench.tuning.records import Record, Records

TRIALS = 8
SEARCH = ("tune=xgboost", f"tune.trials={TRIALS}", "tune.searcher=random", "tune.scheduler=none")
TRIED = re.compile(rb"^  trial \d+/", re.MULTILINE)


def swept(base: Command, times: int, chance: random.Random) -> list[Row]:
    """How often a sweep whose driver was killed at a random moment ended as the undisturbed one did."""
    undisturbed = base.copied("sweep", *SEARCH)
    undisturbed.run("tune")
    good = 0
    for turn in range(times):
        disturbed = base.copied(f"sweep-{turn}", *SEARCH)
        before = killed(disturbed, chance)
        disturbed.run("tune")
        found = faults(undisturbed, disturbed, before)
        good += not found
        say(f"  {turn + 1} of {times}, sweep killed after {len(before)} trials: {'; '.join(found) or 'unchanged'}")
        shutil.rmtree(disturbed.folder)
    return [Row("sweep, driver killed", good, times, "unchanged")]


def killed(search: Command, chance: random.Random) -> dict[str, Record]:
    """The trials that were over when the driver was killed, in the middle of others."""
    process, until, wanted = search.start("tune"), time.monotonic() + TIME_LIMIT_S, chance.randint(1, TRIALS - 3)
    began = time.monotonic()
    while len(records(search)) < wanted and process.poll() is None:
        if time.monotonic() > until:
            raise EnvironmentFault(f"The sweep did not come to its trial {wanted}.")
        time.sleep(LOOK_EVERY_S)
    time.sleep(chance.random() * min(5.0, (time.monotonic() - began) / wanted))
    search.kill(process)
    return records(search)


def faults(undisturbed: Command, disturbed: Command, before: dict[str, Record]) -> list[str]:
    """What is wrong with a sweep that was begun again."""
    found, expected = records(disturbed), records(undisturbed)
    told = [] if 0 < len(before) < TRIALS else ["it was not killed while it searched"]
    if changed := [name for name, one in before.items() if found.get(name) != one]:
        told.append(f"finished trials were not kept: {changed}")
    if (again := len(TRIED.findall(disturbed.log.read_bytes()))) != TRIALS - len(before):
        told.append(f"{again} trials were tried where {TRIALS - len(before)} were left")
    if {name: _result(one) for name, one in found.items()} != {name: _result(one) for name, one in expected.items()}:
        told.append("the trials are others, or their scores")
    figures = [one.store.get("sweeps", one.store.keys("sweeps")[0]).figures for one in (disturbed, undisturbed)]
    return told if figures[0] == figures[1] else [*told, f"figures: {figures[0]}"]


def records(search: Command) -> dict[str, Record]:
    """The trials of its only sweep that are over, by name."""
    store = search.store
    listed = store.fs.get_file_info(fs.FileSelector(store.path("checkpoints"), allow_not_found=True))
    folders = [one.path for one in listed if one.base_name.startswith("sweep-")]
    return {one.name: one for folder in folders for one in Records(store, folder).all()}


def _result(one: Record) -> tuple[object, ...]:
    """All but when it was, and how long it took."""
    return one.values, one.status, one.scores, one.folds, one.steps
