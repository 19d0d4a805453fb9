"""Writes the tables of `conf/KEYS.md` from the comments of their classes: `python -m workbench.config_tables`."""

import dataclasses
import inspect
import re
import typing
from collections.abc import Iterator
from pathlib import Path

from workbench import config

KEYS = Path(__file__).resolve().parent.parent / "conf" / "KEYS.md"
MARK = "<!-- the tables below are written by `python -m workbench.config_tables` -->\n"
COMMENT = re.compile(r"^    (\w+): .*?  # (.*)$", re.MULTILINE)


def tables() -> str:
    """One Markdown table per section of the config: key, type, default, meaning."""
    return "\n".join(_table(path, kind) for path, kind in _sections("", config.Config))


def written() -> str:
    """The whole file with its tables as they should be."""
    return KEYS.read_text().partition(MARK)[0] + MARK + "\n" + tables()


def undocumented() -> list[str]:
    """The keys whose field has no comment in `workbench/config.py`."""
    return [
        f"{path}{name}" for path, kind in _sections("", config.Config) for name, *_, text in _rows(kind) if not text
    ]


def _sections(path: str, kind: type) -> Iterator[tuple[str, type]]:
    yield path, kind
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        inner, suffix = _dataclass_in(hints[field.name])
        if inner:
            yield from _sections(f"{path}{field.name}{suffix}.", inner)


def _dataclass_in(hint: object) -> tuple[type | None, str]:
    origin = typing.get_origin(hint)
    suffix = "[]" if origin is list else ".NAME" if origin is dict else ""
    for candidate in (hint, *typing.get_args(hint)):
        if isinstance(candidate, type) and dataclasses.is_dataclass(candidate):
            return candidate, suffix
    return None, ""


def _rows(kind: type) -> Iterator[tuple[str, str, str, str]]:
    classes = [one for one in reversed(kind.__mro__) if dataclasses.is_dataclass(one)]
    comments = dict(found for one in classes for found in COMMENT.findall(inspect.getsource(one)))
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        inner, suffix = _dataclass_in(hints[field.name])
        described = (inner.__doc__ or "").splitlines()[0] if inner else comments.get(field.name, "")
        shown = "section" + suffix if inner else getattr(field.type, "__name__", None) or str(field.type)
        yield field.name, shown, "" if inner else _default(field), described


def _default(field: dataclasses.Field[object]) -> str:
    value = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
    return "required" if value == config.REQUIRED else "null" if value is None else str(value)


def _table(path: str, kind: type) -> str:
    head = f"### `{path.rstrip('.') or 'the root'}`\n\n{(kind.__doc__ or '').splitlines()[0]}\n\n"
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for name, hint, default, text in _rows(kind):
        cells = [f"`{path}{name}`", f"`{hint}`", f"`{default}`" if default else "", text]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return head + "\n".join(lines) + "\n"


if __name__ == "__main__":
    KEYS.write_text(written())
