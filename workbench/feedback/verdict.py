"""From findings to a verdict, with every reason in one sentence. Data drift and performance are kept apart."""

from dataclasses import dataclass
from typing import Any

from workbench.config import MonitorConfig


@dataclass(frozen=True)
class Verdict:
    """`ok`, `drift`, `degraded` or `not_enough_evidence`, why, and what to do."""

    verdict: str
    reasons: list[str]
    advice: str


def decide(findings: dict[str, Any], cfg: MonitorConfig) -> Verdict:
    """The verdict on a window of decisions."""
    performance = findings["performance"]
    judged, needed = performance.get("judged", 0), cfg.minimum_judged
    if judged < needed:
        reason = f"{judged:,} decisions have matured labels; monitor.minimum_judged={needed:,} are needed."
        return Verdict("not_enough_evidence", [reason], "Wait for labels.")
    drifted = [one["name"] for one in findings["drift"] if one["drifted"] or one["missing_drifted"]]
    slow = findings["latency_ms"]["p99"] > cfg.latency_p99_ms
    floor = findings["interval"][0] * (1 - cfg.performance_drop)
    found, promised = performance["average_precision"], findings["promised"]["average_precision"]
    reasons = [f"Average precision is {found:.3f}; the evaluation promised {promised:.3f}."]
    if drifted:
        reasons.append(f"{len(drifted)} inputs have drifted: {', '.join(drifted[:4])}{' ...' if drifted[4:] else ''}.")
    if slow:
        reasons.append(f"The 99th percentile of latency is {findings['latency_ms']['p99']:.1f} ms.")
    if found < floor:
        return Verdict("degraded", reasons, "Train a challenger.")
    if drifted or slow:
        return Verdict("drift" if drifted else "ok", reasons, "Look at it; the decisions are as good as promised.")
    return Verdict("ok", reasons, "Nothing needs doing.")
