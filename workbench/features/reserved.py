"""Names that no feature may have: a feature snapshot holds features beside the roles, labels and parts of its rows."""

from workbench.config import DataConfig

ADDED = ("label", "label_known_time", "part", "place", "draw", "score")  # by `featurize`, and by what judges scores


def names(data: DataConfig) -> list[str]:
    """The roles of a data set and what is added to them, each once."""
    roles = [data.id, data.event_time, data.known_time or "known_time", *data.entities]
    return list(dict.fromkeys([*roles, *ADDED]))


def free(name: str, data: DataConfig) -> str:
    """The name, or one made of it that neither is reserved nor names a column."""
    reserved, made = names(data), name
    while made in reserved or (made != name and made in data.columns):
        made += "_value"
    return made
