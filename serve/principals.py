"""Who may ask: a client with the routes and the rate of its roles."""

from collections.abc import Iterable
from dataclasses import dataclass

from workbench.governance.settings import AccessConfig


@dataclass(frozen=True, slots=True)
class Principal:
    """A client that was recognised."""

    client: str
    routes: frozenset[str]
    rate: float | None  # requests a second; None: no limit
    until: float = float("inf")  # seconds since 1970 from which on it is refused


ANYONE = Principal("-", frozenset(), None)


@dataclass(slots=True)
class Asked:
    """One request, as far as it is known yet."""

    request_id: str
    route: str = "unknown"  # METHOD /path of the table; nothing else of what was sent
    client: str = ANYONE.client
    rate: float | None = ANYONE.rate


class Roles:
    """The table of roles, as what a client may do that has some of them."""

    def __init__(self, access: AccessConfig) -> None:
        self._routes = {role: frozenset(routes) for role, routes in access.roles.items()}
        self._rates = access.rates

    def principal(self, client: str, roles: Iterable[str], until: float = float("inf")) -> Principal:
        """A client with some roles; one that is no longer in the table has no route."""
        known = [role for role in roles if role in self._routes]
        rates = [self._rates.get(role) for role in known]
        rate = None if None in rates else max((one for one in rates if one), default=None)
        return Principal(client, frozenset().union(*(self._routes[role] for role in known)), rate, until)
