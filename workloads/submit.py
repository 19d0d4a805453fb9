"""Run a step on a cluster, and look after it from here: `python -m workloads.submit train experiment=payments`.

The config is composed here, once, and travels with the code. The same command again follows the job that runs, returns
the one that is finished, and goes on with the one that failed.
"""

import argparse
import functools
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.config import Config
from workbench.data.store import code_version
from workbench.errors import ConfigError, EnvironmentFault, raise_all
from workbench.jobs import attempts, follow, job, outcome, package, room, sent, shown
from workbench.jobs.attempts import LIVE, NAME, Attempt, State
from workbench.jobs.connection import HERE, Connection
from workbench.jobs.job import Job
from workbench.progress import say
from workloads import door

COMMAND = re.compile(r"door\.(main|asked)\(")  # what the file of a step has: it is called with a config
BEGINS_S = 25.0  # so long a job that is not followed is watched: what is wrong with it shows at its beginning


def main(words: Sequence[str] | None = None) -> None:
    """The command: a verb, a step and its overrides."""
    asked = parser().parse_intermixed_args(words)
    verb = asked.words.pop(0) if asked.words and asked.words[0] in VERBS else "run"
    sys.exit(door.guarded(lambda: VERBS[verb](asked)))


def parser() -> argparse.ArgumentParser:
    """What can be said on the command line besides the step's own keys."""
    made = argparse.ArgumentParser(prog="python -m workloads.submit", description=__doc__, allow_abbrev=False)
    made.add_argument("words", nargs="*", metavar="[run|status|logs|stop|list] STEP KEY=VALUE", help="or a job's name")
    made.add_argument("--address", help=f"the cluster's dashboard (RAY_API_SERVER_ADDRESS, else {HERE})")
    made.add_argument("--follow", action="store_true", help="show what it prints; end with its exit code")
    made.add_argument("--again", action="store_true", help="run it although it is finished")
    made.add_argument(
        "--retries", type=int, default=0, help="with --follow: so often again where the cluster failed it"
    )
    made.add_argument("--python", default="python", help="the Python on the cluster that runs it")
    made.add_argument("--cpus", type=float, default=0.0, help="CPUs that the job's own process reserves")
    made.add_argument("--gpus", type=float, default=0.0, help="GPUs that it reserves")
    made.add_argument("--memory", type=float, default=0.0, help="bytes of memory that it reserves")
    made.add_argument("--resource", action="append", default=[], metavar="NAME=N", help="what else it reserves")
    return made


def run(asked: argparse.Namespace) -> None:
    """Submit the step, or take up what there is of it; ends the process with the job's exit code."""
    step, words = _step(asked.words)
    reserved = resources(asked)
    cfg = door.composed(words)
    job.check(cfg, _said(words))
    output = _output(cfg, asked)
    made = _packed(step, words, cfg, asked, reserved)
    say(f"package: {made.package.told()}")
    cluster = Connection(asked.address)
    room.check(reserved, cluster.nodes(), cluster.grows())
    sys.exit(Submission(cluster, made, asked, output).ended())


@dataclass
class Submission:
    """A job on its way through a cluster."""

    cluster: Connection
    job: Job
    asked: argparse.Namespace
    output: Path | None
    submitted: bool = False  # by us or before: a fault from then on is the job's or the cluster's, and may be retried

    def ended(self) -> int:
        """The job's exit code, after as many attempts as are allowed; 0 where it runs and nobody follows it."""
        for _ in range(self.asked.retries):
            try:
                code = self._attempt()
            except EnvironmentFault as fault:
                if not self.submitted:
                    raise
                say(f"  {fault}")
            else:
                if code != EnvironmentFault.exit_code:
                    return code
        return self._attempt()

    def _attempt(self) -> int:
        plan = self._plan()
        say(f"{plan.name}: {plan.why}")
        if plan.there and plan.there.state not in LIVE:
            return told(self.cluster, plan.there, self.output)
        if plan.there is None:
            sent_now = self.cluster.submit(
                plan.name,
                self.job.entrypoint,
                self.job.package.archive,
                self.job.about(),
                code_version(),
                self.job.reserved,
            )
            say(f"  {'submitted' if sent_now else 'somebody else has submitted it just now: this follows theirs'}")
        self.submitted = True
        return watched(self.cluster, plan.name, self.asked.follow, self.output)

    def _plan(self) -> attempts.Plan:
        known = attempts.of_job(self.job.digest, self.cluster.attempts())
        reason = attempts.changing(self.job.step, self.job.cfg)
        again = self.asked.again and not self.submitted
        return attempts.plan(self.job.digest, known, self.job.package.digest, reason, again)


def watched(cluster: Connection, name: str, to_its_end: bool, output: Path | None) -> int:
    """The exit code of a job that is followed to its end; 0 for one that has begun well and is left alone."""
    if not to_its_end:
        now = follow.started(functools.partial(follow.known, cluster, name), BEGINS_S)
        if now.state not in LIVE:
            return told(cluster, now, output)
        say(f"{name} is {now.state.lower()}. {now.message if now.state is State.pending else ''}".rstrip())
        say(f"  python -m workloads.submit logs {name} --follow   # or status, stop")
        return 0
    try:
        ended = follow.follow(cluster, name, lambda text: print(text, end="", flush=True))
    except KeyboardInterrupt:
        say(f"\n{name} goes on; `python -m workloads.submit stop {name}` ends it")
        raise
    return told(cluster, ended, output, printed=True)


def told(cluster: Connection, ended: Attempt, output: Path | None, printed: bool = False) -> int:
    """The exit code of a job that is over; what it left is printed, and written where it was asked for."""
    log = cluster.log(ended.name)
    record = sent.record_of(log)
    if not printed:
        print(record["uri"] if record else log.rstrip(), flush=True)
    code = outcome.exit_code(ended, log)
    if output and record:
        door.write_record(output, record)
    took = (ended.ended_s or 0) - (ended.started_s or 0)
    say(f"{ended.name} {ended.state.lower()} after {max(0, took):.0f} s, exit code {code}")
    return code


def status(asked: argparse.Namespace) -> None:
    """Print what the cluster knows of a job."""
    cluster, name = _named(asked)
    print(shown.card(follow.known(cluster, name)))


def logs(asked: argparse.Namespace) -> None:
    """Print what a job has printed; with --follow until it ends, and end as it does."""
    cluster, name = _named(asked)
    if asked.follow:
        sys.exit(watched(cluster, name, True, None))
    print(cluster.log(name), end="")


def stop(asked: argparse.Namespace) -> None:
    """Ask a job to end; what it has finished is kept."""
    cluster, name = _named(asked)
    pending = follow.known(cluster, name).state is State.pending
    say(f"{name} {'is asked to end' if cluster.stop(name) else 'runs no more'}")
    if pending:
        say("  it is pending: Ray ends it when it would begin, or after 15 minutes")


def listed(asked: argparse.Namespace) -> None:
    """Print the jobs that this command has submitted, from wherever, the newest first."""
    print(shown.table(Connection(asked.address).attempts()))


VERBS: dict[str, Callable[[argparse.Namespace], None]] = {
    "run": run, "status": status, "logs": logs, "stop": stop, "list": listed,
}  # fmt: skip


def resources(asked: argparse.Namespace) -> dict[str, float]:
    """What the job's own process reserves, by kind; raises `ConfigError` with every fault."""
    found, faults = {"CPU": asked.cpus, "GPU": asked.gpus, "memory": asked.memory}, []
    for word in asked.resource:
        name, _, amount = word.partition("=")
        try:
            found[name] = float(amount)
        except ValueError:
            faults.append(f"--resource {word} is not of the form NAME=NUMBER.")
    faults += [f"{kind} {amount:g} must be 0 or more." for kind, amount in found.items() if not amount >= 0]
    if asked.retries < 0 or (asked.retries and not asked.follow):
        faults.append(
            f"--retries {asked.retries} must be 0 or more, and needs --follow: who does not look cannot retry."
        )
    raise_all(ConfigError, "The job cannot be submitted so:", faults)
    return {kind: amount for kind, amount in found.items() if amount}


def steps() -> list[str]:
    """What can be submitted: every command beside this one."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return [path.stem for path in files if COMMAND.search(path.read_text()) and path != Path(__file__)]


def _packed(step: str, words: list[str], cfg: Config, asked: argparse.Namespace, reserved: room.Resources) -> Job:
    values = _values(cfg, words)
    functions = [one.function for view in cfg.features.views for one in view.features]
    code = package.package(package.modules(functions), {sent.FILE: json.dumps(values).encode()}, Path.cwd())
    return Job(step, words, cfg, sent.name_of(step, values), code, reserved, asked.python)


def _values(cfg: Config, words: Sequence[str]) -> dict[str, object]:
    return sent.plain(cfg, _said(words))


def _said(words: Sequence[str]) -> set[str]:
    return {word.partition("=")[0] for word in words}


def _step(words: Sequence[str]) -> tuple[str, list[str]]:
    if not words or words[0] not in steps():
        said = words[0] if words else "nothing"
        raise ConfigError(f"{said} is no step. Use one of: {', '.join(steps())}.")
    return words[0], list(words[1:])


def _named(asked: argparse.Namespace) -> tuple[Connection, str]:
    """The cluster, and the job that is meant: by its name, or the newest of its digest or of the same command."""
    words = asked.words
    if len(words) == 1 and NAME.fullmatch(words[0]):
        return Connection(asked.address), words[0]
    if len(words) == 1 and NAME.fullmatch(f"{words[0]}-1"):
        digest = words[0]
    else:
        step, overrides = _step(words)
        digest = sent.name_of(step, _values(door.composed(overrides), overrides))
    cluster = Connection(asked.address)
    if not (found := attempts.of_job(digest, cluster.attempts())):
        raise EnvironmentFault(f"{cluster.address} knows no job {digest}. Use a name that `submit list` shows.")
    return cluster, found[-1].name


def _output(cfg: Config, asked: argparse.Namespace) -> Path | None:
    if cfg.output.json and not asked.follow:
        raise ConfigError(f"output.json={cfg.output.json} is written when the job has ended. Add --follow.")
    return door.checked_output(cfg.output.json)


if __name__ == "__main__":
    main()
