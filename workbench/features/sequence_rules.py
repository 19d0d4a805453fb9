"""Sequences: what may be wrong with their definitions. What they are is in `sequences.py`."""

from collections.abc import Iterator

from workbench.config import DataConfig, FeatureConfig, FeaturesConfig, ViewConfig
from workbench.features.kinds import PREVIOUS

MOST_EVENTS = 100  # each is as many columns as it shows features


def broken(features: FeaturesConfig) -> Iterator[str]:
    """What is wrong with a set's sequences: one at the most, for its columns are named after the other features."""
    found = [f"{view.name}.{one.name}" for view in features.views for one in view.features if one.kind == PREVIOUS]
    if len(found) > 1:
        named = ", ".join(found)
        yield f"features.views: {named} are of kind {PREVIOUS}, and a set has one sequence. Keep one of them."
    for view in features.views:
        if view.events is not None and not any(one.kind == PREVIOUS for one in view.features):
            yield (
                f"features.views[{view.name}].events={view.events} is not used: the view has no feature of kind"
                f" {PREVIOUS}. Leave it out."
            )


def feature_faults(view: ViewConfig, feature: FeatureConfig, data: DataConfig) -> Iterator[str]:
    """What is wrong with a feature of kind previous, without its own name."""
    if len(view.windows) > 1:
        windows = ", ".join(view.windows)
        yield f".kind={PREVIOUS} looks through one window, and the view has {windows}. Keep one of them."
    if view.events is None or not 1 <= view.events <= MOST_EVENTS:
        yield f".kind={PREVIOUS} needs the view's events, which are {view.events}. Use 1 to {MOST_EVENTS}, such as 6."
    if feature.of is not None and not feature.of:
        yield ".of is empty. Name the features that are shown, or leave it out: all others are."
    if len(set(feature.of or ())) < len(feature.of or ()):
        yield f".of={feature.of} names a feature twice. Name each once."
    for key in ("column", "where", "nulls"):
        if (value := getattr(feature, key)) is not None:
            yield f".{key}={value} is not used by {PREVIOUS}. Leave it out."
    if data.versions is not None:
        yield (
            f".kind={PREVIOUS} shows events as they were asked, and data.versions says that they are corrected. Leave"
            " the feature out, or use features=payments."
        )


def unknown(features: FeaturesConfig, bases: list[str]) -> Iterator[str]:
    """What a sequence names and the set has not; a sequence shows none of its own columns."""
    for view in features.views:
        for feature in view.features:
            for name in dict.fromkeys(feature.of or ()):
                if name not in bases:
                    yield (
                        f"features.views[{view.name}].{feature.name}.of={name} is no feature of the set that a sequence"
                        f" can show. Use some of: {', '.join(bases)}."
                    )
