"""The pipeline's report as one self-contained HTML page, and as a dozen lines for the terminal."""

from typing import Any

from workbench.data.store import Artifact
from workbench.evaluation import published
from workbench.report.templates import filled


def render(name: str, done: dict[str, Artifact], seconds: dict[str, float], beside: published.Figures) -> str:
    """The page; everything in it comes from the artifacts, and `beside` stands beside our figures."""
    return filled(
        "page.html",
        name=name,
        done=done,
        seconds=seconds,
        models=_models(done["register"], done["evaluate"], beside),
        curves=done["evaluate"].read_bytes("curves.svg").decode().partition("<svg")[2],
        reliability=done["evaluate"].read_bytes("reliability.svg").decode().partition("<svg")[2],
        calibration=done["evaluate"].read_json("calibration.json"),
        version=done["register"],
        card=done["register"].read_json("card.json"),
        leak=done["leakcheck"].figures,
        findings=done["monitor"].read_json("findings.json"),
        verdict=done["monitor"].figures,
    )


def summary(done: dict[str, Artifact], seconds: dict[str, float], report: str) -> str:
    """What happened, in ten seconds' reading."""
    verdict, replayed, figures = done["monitor"].figures, done["replay"].figures, done["validate"].figures
    parity = done["parity"].figures
    best = done["register"].figures["ensemble"]
    interval = done["evaluate"].read_json("intervals.json")["ensemble"]["average_precision"]
    latency = replayed["client_latency_ms"]
    return "\n".join(
        [
            "",
            f"  data       {figures['rows']:,} rows, {figures['quarantined']:,} in quarantine",
            f"  model      {done['register'].key}: average precision {best['average_precision']:.3f}"
            f" (95 %: {interval[0]:.3f} to {interval[1]:.3f}), ROC AUC {best['roc_auc']:.3f}",
            f"  replay     {replayed['events']:,} events, {replayed['requests_per_s']:,.0f} a second,"
            f" p50 {latency['p50']:.1f} ms, p99 {latency['p99']:.1f} ms",
            f"  parity     {parity['cells']:,} served numbers computed again, {parity['differing']:,} differ",
            f"  verdict    {verdict['verdict']}: {' '.join(verdict['reasons'])} {verdict['advice']}",
            f"  time       {sum(seconds.values()):.0f} s",
            f"  report     {report}",
        ]
    )


def _models(version: Artifact, evaluated: Artifact, beside: published.Figures) -> list[dict[str, Any]]:
    """The version's figures: intervals are of what is shipped, and an evaluation's own figures of all seeds' models."""
    intervals = evaluated.read_json("intervals.json")
    ours = [
        {"name": name, "values": list(figures.values()), "interval": intervals[name]["average_precision"]}
        for name, figures in version.figures.items()
    ]
    theirs = [{"name": f"published: {name}", "values": values, "interval": None} for name, values in beside.items()]
    return ours + theirs
