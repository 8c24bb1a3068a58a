"""No credential of a connection is ever said: not by an error, not by what it came from, not in a log."""

import logging

import pytest

from brokers.errors import AuthFailed, BrokerError, BrokerUnavailable
from tests.brokers.contract.cases import Case, Rig
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
    for kind in ("500", "429", "garbage", "reset", "hang", "redirect", "403"):
        rig.server.faults.set(Fault(kind=kind, effect=False, path=wired.order_path))
        with pytest.raises(BrokerError) as failed:
            rig.broker.submit(account, rig.order())
        said.append(_said(failed.value))
    rig.broker.connect()
    everything = "\n".join(said) + caplog.text
    assert [secret for secret in rig.secrets if secret in everything] == []
    assert "http://" not in "\n".join(said)


def test_a_wrong_key_is_told_as_such_and_not_repeated(wired: Case, wired_rig: Rig) -> None:
    with pytest.raises(AuthFailed) as failed:
        wired.with_wrong_key(wired_rig).connect()
    assert [secret for secret in wired_rig.secrets if secret in _said(failed.value)] == []


def test_a_missing_credential_is_told_at_once_and_nothing_is_called(wired: Case, wired_rig: Rig) -> None:
    before = list(wired_rig.server.received)
    with pytest.raises((AuthFailed, BrokerUnavailable)):
        wired.without_secret(wired_rig)
    assert wired_rig.server.received == before
