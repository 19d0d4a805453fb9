"""From findings to a verdict, with every reason in one sentence. Data drift and performance are kept apart."""

from dataclasses import dataclass
from typing import Any

from workbench.config import MonitorConfig


@dataclass(frozen=True)
class Verdict:
    """`ok`, `slow`, `drift`, `degraded` or `not_enough_evidence`, why, and what to do."""

    verdict: str
    reasons: list[str]
    advice: str


def decide(findings: dict[str, Any], cfg: MonitorConfig) -> Verdict:
    """The verdict on a window of decisions."""
    performance, latency = findings["performance"], findings["latency_ms"].get("p99", 0.0)
    judged, needed = performance.get("judged", 0), cfg.minimum_judged
    drifted = [one["name"] for one in findings["drift"] if one["drifted"] or one["missing_drifted"]]
    seen = []
    if drifted:
        seen.append(f"{len(drifted)} inputs have drifted: {', '.join(drifted[:4])}{' ...' if drifted[4:] else ''}.")
    if latency > cfg.latency_p99_ms:
        seen.append(f"The 99th percentile of latency is {latency:.1f} ms; {cfg.latency_p99_ms:g} are allowed.")
    word = "drift" if drifted else "slow"
    if judged < needed:
        reason = f"{judged:,} decisions have matured labels; monitor.minimum_judged={needed:,} are needed."
        advice = "Look at it; whether it harms cannot be told before labels mature." if seen else "Wait for labels."
        return Verdict(word if seen else "not_enough_evidence", [*seen, reason], advice)
    floor = findings["interval"][0] * (1 - cfg.performance_drop)
    found, promised = performance["average_precision"], findings["promised"]["average_precision"]
    reasons = [f"Average precision is {found:.3f}; the evaluation promised {promised:.3f}.", *seen]
    if found < floor:
        return Verdict("degraded", reasons, "Train a challenger.")
    if seen:
        return Verdict(word, reasons, "Look at it; the decisions are as good as promised.")
    return Verdict("ok", reasons, "Nothing needs doing.")
