"""The kinds of features: what each needs in its definition. Their formulas stand in `conf/features/README.md`."""

from dataclasses import dataclass

NUMBERS = ("integer", "number", "money")
WHOLE = ("integer", "money")  # their sums do not depend on an order
ANY = (*NUMBERS, "string")
PREVIOUS = "previous"  # other features at earlier events: no aggregate


@dataclass(frozen=True)
class Kind:
    """What a definition of this kind must say."""

    column: tuple[str, ...] = ()  # allowed types of its column; none: it has no column
    windowed: bool = False  # it looks back on an entity's events
    empty: bool = False  # it has no natural value where there is nothing: the definition says which
    value: bool = False  # it compares the row's own value with the window
    labels: bool = False  # it sees labels


ROW = {
    "column": Kind(NUMBERS),
    "ordinal": Kind(("string",)),
    "one_hot": Kind(("string",)),
    "weekend": Kind(),
    "night": Kind(),
    "hour": Kind(),
    "weekday": Kind(),
    "monthday": Kind(),
    "holiday": Kind(),
    "lookup": Kind((*NUMBERS, "string"), empty=True),
    "function": Kind(),
}
WINDOWED = {
    "count": Kind(windowed=True),
    "sum": Kind(WHOLE, windowed=True),
    "mean": Kind(WHOLE, windowed=True, empty=True),
    "std": Kind(WHOLE, windowed=True, empty=True),
    "min": Kind(NUMBERS, windowed=True, empty=True),
    "max": Kind(NUMBERS, windowed=True, empty=True),
    "peak": Kind(WHOLE, windowed=True, empty=True),
    "distinct": Kind(ANY, windowed=True),
    "ratio": Kind(WHOLE, windowed=True, empty=True, value=True),
    "share": Kind(windowed=True, empty=True),
    "since_last": Kind(windowed=True, empty=True),
    "age": Kind(windowed=True, empty=True),
    "known_positive_count": Kind(windowed=True, labels=True),
    "known_positive_rate": Kind(windowed=True, empty=True, labels=True),
    PREVIOUS: Kind(windowed=True),
    "since_known_positive": Kind(windowed=True, empty=True, labels=True),
    "age_known_positive": Kind(windowed=True, empty=True, labels=True),
    "newest_known_positive": Kind(windowed=True, empty=True, labels=True),
}
KINDS = ROW | WINDOWED
