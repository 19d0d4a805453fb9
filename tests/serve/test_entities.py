"""The log holds no entity: tokens stand for them."""

import json
from pathlib import Path

from serve.service import Service
from serve.settings import Settings
from tests.serve.asked import CUSTOMER, everything_written, logged, score, tell
from workbench.governance.keys import Keys, token


class TestEntities:
    def test_a_customer_is_written_as_a_token_and_never_as_it_is(self, given: Settings) -> None:
        store, journal, service = Path(given.store), Path(given.journal), Service(given)
        score(service, 1, 0)
        tell(service, 1, 1, hours=1)
        made = token(Keys(given.keys_folder).pseudonym(), "customer", CUSTOMER)
        for written in (everything_written(journal), service.compact() and everything_written(store, journal)):
            assert made in str(written), "the search finds what is there"
            assert str(CUSTOMER) not in str(written)

    def test_the_token_is_the_same_for_one_customer_and_another_for_another(self, service: Service) -> None:
        for identity, customer in enumerate((1, 2, 1)):
            score(service, identity, identity, customer)
        rows = logged(service)
        tokens = [row["entities"] for row in rows]
        assert [[json.loads(row["event"])["customer"]] for row in rows] == tokens
        assert tokens[0] == tokens[2] != tokens[1]

    def test_the_state_and_the_answer_hold_no_customer(self, service: Service) -> None:
        answer = score(service, 1, 0)
        assert str(CUSTOMER) not in str(answer) + str(service.state._histories) + str(service.state._events)
