"""No credential of a connection is ever said: not by an error, not by what it came from, not in a log."""

import logging
from dataclasses import replace

import pytest

from brokers.errors import AuthFailed, BrokerError, BrokerUnavailable, InvalidRequest
from tests.brokers.contract.cases import KEYED, Case, Rig, Way
from tests.brokers.faults import Fault


def _said(error: BaseException | None) -> str:
    texts = []
    while error is not None:
        texts.append(f"{error!r} {error}")
        error = error.__cause__ or error.__context__
    return "\n".join(texts)


def test_no_error_and_no_log_holds_a_credential(wired: Case, wired_rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig = wired_rig
    caplog.set_level(logging.DEBUG)
    account, said = rig.account_id, []
    method, path = wired.sends[Way.SUBMIT]
    refusals = [Fault(kind="403", effect=False)] if wired in KEYED else []
    for fault in (*(each for each in wired.sending if not each.effect), *refusals):
        rig.server.faults.set(replace(fault, method=method, path=path))
        with pytest.raises(BrokerError) as failed:
            rig.broker.submit(account, rig.order())
        said.append(_said(failed.value))
    rig.broker.connect()
    everything = "\n".join(said) + caplog.text
    assert [secret for secret in rig.secrets if secret in everything] == []
    assert "http://" not in "\n".join(said)


def test_a_wrong_key_is_told_as_such_and_not_repeated(keyed: Case, keyed_rig: Rig) -> None:
    with pytest.raises(AuthFailed) as failed:
        keyed.with_wrong_key(keyed_rig).connect()
    assert [secret for secret in keyed_rig.secrets if secret in _said(failed.value)] == []


def test_a_missing_credential_is_told_at_once_and_nothing_is_called(keyed: Case, keyed_rig: Rig) -> None:
    before = list(keyed_rig.server.received)
    with pytest.raises((AuthFailed, BrokerUnavailable, InvalidRequest)):
        keyed.without_secret(keyed_rig)
    assert keyed_rig.server.received == before
