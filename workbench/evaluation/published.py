"""The published figures that ours stand beside."""

import json
from pathlib import Path

Figures = dict[str, list[float]]  # model -> ROC AUC, average precision, card precision@100


def tables() -> dict[str, Figures]:
    """Every published table by its name."""
    content = json.loads(Path(__file__).with_name("published.json").read_text())
    return {name: table for name, table in content.items() if name != "source"}


def table(name: str | None) -> Figures:
    """The table of this name; nothing for none."""
    return tables()[name] if name else {}
