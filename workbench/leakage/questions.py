"""What a leak check asks of a table, in words: on which rows, or why it did not ask."""

from collections.abc import Iterator

from workbench.leakage.table import EQUAL, Audited

Asked = dict[str, str]  # question, on, skipped ("": it was asked)
NO_PARTS, NO_TIME = "not asked: no column says which rows train and which test", "not asked: the rows have no time"


def asked(table: Audited, tested_rows: int, rewritten: str) -> list[Asked]:
    """Every question in the order of a report; `rewritten`: on what the future was rewritten, or ""."""
    file = "not asked: the features came ready-made"
    first = _one("Do features of the past change when the future is rewritten?", rewritten, "" if rewritten else file)
    every = f"all {len(table.label_N):,} rows"
    if table.kept:
        every = (
            f"a sample of {len(table.whole(EQUAL).label_N):,} rows that keeps equal ones (those of an entity) together"
        )
    return [first, *_of_columns(table, f"{tested_rows:,} rows"), *_of_parts(table, every)]


def _of_columns(table: Audited, some: str) -> Iterator[Asked]:
    yield _one("Is a column a copy of the label, or does a value or a gap determine it?", some)
    yield _one("Does the order of the rows or an id tell the label?", some)
    yield _one("Is a column a statistic of its group's labels, the row's own included?", "up to 200,000 rows in groups")
    yield _one("Do rows that share a value of a column share their label?", some)
    random = table.part is not None and table.split != "time"
    yield _one("Does a column lose its power in the test part?", some, "" if random else NO_PARTS)
    yield _one("Does a column tell its own period only?", some, "" if table.time_N is not None else NO_TIME)
    entities = "" if table.entities and table.split != "time" else "not asked: no entities, or a split by time"
    yield _one("Does a column tell its own entity only?", some, entities)


def _of_parts(table: Audited, every: str) -> Iterator[Asked]:
    yield _one("Do rows occur twice?", every)
    parts = "" if table.part is not None else NO_PARTS
    yield _one("Do the parts share entities, or overlap in time?", every, parts)
    known = "" if table.time_N is not None else NO_TIME
    yield _one("Is a column made from later rows, or labels not known yet?", "up to 200,000 rows in groups", known)


def _one(question: str, on: str, skipped: str = "") -> Asked:
    return {"question": question, "on": on, "skipped": skipped}
