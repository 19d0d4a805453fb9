"""Versions that exist, for whom only their names matter."""

from workbench.data.store import Store


def made(store: Store, *names: str) -> None:
    """Finished artifacts of those names; nothing that loads a bundle is asked of them."""
    for name in names:
        store.stage("models", name).commit({}, {"name": name})
