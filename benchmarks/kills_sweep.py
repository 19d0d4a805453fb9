"""What a killed driver may not change of a sweep: finished trials are kept, and only what was left is tried.

What is drawn after a restart is new (`workbench/tuning/search.py`), so that later trials are others than undisturbed.
"""

import random
import re
import shutil
import time

from pyarrow import fs

from benchmarks.kills_command import LOOK_EVERY_S, TIME_LIMIT_S, Command
from benchmarks.table import Row
from workbench.errors import EnvironmentFault
from workbench.progress import say
from workbench.tuning.records import Record, Records, finished

TRIALS = 8
SEARCH = ("tune=xgboost", f"tune.trials={TRIALS}", "tune.searcher=random", "tune.scheduler=none")
TRIED = re.compile(rb"^  trial \d+/", re.MULTILINE)


def swept(base: Command, times: int, chance: random.Random) -> list[Row]:
    """How often a sweep whose driver was killed at a random moment kept what it had, and came to its end."""
    good = 0
    for turn in range(times):
        disturbed = base.copied(f"sweep-{turn}", *SEARCH)
        before = killed(disturbed, chance)
        disturbed.run("tune")
        found = faults(disturbed, before)
        good += not found
        say(f"  {turn + 1} of {times}, sweep killed after {len(before)} trials: {'; '.join(found) or 'kept'}")
        shutil.rmtree(disturbed.folder)
    return [Row("sweep, driver killed", good, times, "kept, and ended")]


def killed(search: Command, chance: random.Random) -> dict[str, Record]:
    """The trials that were over when the driver was killed, in the middle of others."""
    process, until, wanted = search.start("tune"), time.monotonic() + TIME_LIMIT_S, chance.randint(1, TRIALS - 3)
    last = began = time.monotonic()
    while (seen := len(records(search))) < wanted and process.poll() is None:
        if seen < wanted - 1:
            last = time.monotonic()
        if time.monotonic() > until:
            raise EnvironmentFault(f"The sweep did not come to its trial {wanted}.")
        time.sleep(LOOK_EVERY_S)
    time.sleep(chance.random() * min(2.0, time.monotonic() - (last if wanted > 1 else began)))
    if process.poll() is not None:
        raise EnvironmentFault(f"The sweep ended by itself with {process.returncode}. See {search.log}.")
    search.kill(process)
    return records(search)


def faults(search: Command, before: dict[str, Record]) -> list[str]:
    """What is wrong with a sweep that was begun again; `before`: what was over at the kill."""
    found = records(search)
    told = [] if 0 < len(before) < TRIALS else ["it was not killed while it searched"]
    if changed := [name for name, one in before.items() if found.get(name) != one]:
        told.append(f"finished trials were not kept: {changed}")
    if (again := len(TRIED.findall(search.log.read_bytes()))) != TRIALS - len(before):
        told.append(f"{again} trials were tried where {TRIALS - len(before)} were left")
    well = finished(list(found.values()))
    if len(well) != TRIALS:
        told.append(f"of {TRIALS} trials ended well: {len(well)}")
    swept = search.store.get("sweeps", search.store.keys("sweeps")[0]).figures["xgboost"]
    if swept["gap"] != 0:
        told.append(f"the winner's checkpoint, scored again, differs by {swept['gap']:g}")
    top = max((one.scores["average_precision"] for one in well), default=0.0)
    return told if swept["validation_average_precision"] == top else [*told, "the winner is not the best"]


def records(search: Command) -> dict[str, Record]:
    """The trials of its only sweep that are over, by name."""
    store = search.store
    listed = store.fs.get_file_info(fs.FileSelector(store.path("checkpoints"), allow_not_found=True))
    folders = [one.path for one in listed if one.base_name.startswith("sweep-")]
    return {one.name: one for folder in folders for one in Records(store, folder).all()}
