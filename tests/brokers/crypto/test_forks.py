"""A process that forks leaves its connections to the venues to itself: two that wrote to one would mix their calls."""

import os

from brokers.crypto import client
from tests.brokers.contract.cases import COINBASE


def test_a_child_has_none_of_its_parents_connections() -> None:
    with COINBASE.opened() as rig:
        rig.broker.accounts()
        assert client._clients and client._publics
        child = os.fork()
        if child == 0:
            os._exit(len(client._clients) + len(client._publics))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert client._clients and client._publics
