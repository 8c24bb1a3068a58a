"""What each code of a venue means for the order that it answers, sent over the wire."""

from typing import Any

import pytest

from brokers.crypto.error_outcomes import Codes, Meaning
from brokers.errors import BrokerError, DuplicateClientId, InsufficientFunds, RateLimited, WriteOutcome
from tests.brokers.contract.cases import BINANCE, COINBASE, KRAKEN, KRAKEN_FUTURES, OKX, CryptoCase
from tests.brokers.faults import Reply

_UNKNOWN = WriteOutcome.UNKNOWN
_REJECTED = WriteOutcome.REJECTED


def _okx(code: str) -> Reply:
    row = {"clOrdId": "", "ordId": "", "tag": "", "sCode": code, "sMsg": "words of the venue"}
    return 200, {"code": "1", "msg": "All operations failed", "data": [row]}


def _okx_whole(code: str) -> Reply:
    return 200, {"code": code, "msg": "words of the venue", "data": []}


def _binance(code: str) -> Reply:
    number, _, message = code.partition(" ")
    return 400, {"code": int(number), "msg": message or "words of the venue"}


def _kraken(error: str) -> Reply:
    return 200, {"error": [error]}


def _coinbase(error: str) -> Reply:
    told = {"error": error, "message": "words of the venue", "error_details": "", "preview_failure_reason": error}
    return 200, {"success": False, "error_response": told, "order_configuration": {}}


def _futures(status: str) -> Reply:
    told = {"status": status, "receivedTime": "2026-11-20T10:00:00.000Z", "orderEvents": []}
    return 200, {"result": "success", "sendStatus": told, "serverTime": "2026-11-20T10:00:00.000Z"}


def _futures_whole(error: str) -> Reply:
    return 200, {"result": "error", "error": error, "serverTime": "2026-11-20T10:00:00.000Z"}


_FORMS = {
    OKX: (_okx, _okx_whole),
    BINANCE: (_binance,),
    KRAKEN: (_kraken,),
    COINBASE: (_coinbase,),
    KRAKEN_FUTURES: (_futures, _futures_whole),
}
EVERY = [
    pytest.param(case, form(code), meaning, id=f"{case.name}-{code}-{form.__name__}")
    for case, forms in _FORMS.items()
    for form in forms
    for code, meaning in case.venue.adapter.VENUE.codes.meanings.items()
]


@pytest.mark.django_db
@pytest.mark.parametrize(("case", "reply", "meaning"), EVERY)
def test_every_code_in_a_table_decides_whatever_class_ccxt_gives_it(
    case: CryptoCase, reply: Reply, meaning: Meaning
) -> None:
    codes: Codes = case.venue.adapter.VENUE.codes
    with case.opened() as rig:
        order, account = rig.order(), rig.account_id
        rig.wire.says.append(reply)
        with pytest.raises(BrokerError) as failed:
            rig.broker.submit(account, order)
        assert type(failed.value) is type(codes.error(meaning))
        assert failed.value.outcome is (_UNKNOWN if meaning is Meaning.UNKNOWN else _REJECTED)
        assert "words of the venue" not in str(failed.value)
        assert rig.wire.sent[order.client_order_id] == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("case", "reply", "outcome"),
    [
        # plain ExchangeError in ccxt, in no table: may stand
        (OKX, _okx("59999"), _UNKNOWN),
        (OKX, _okx_whole("50026"), _UNKNOWN),
        (OKX, (200, {}), _UNKNOWN),
        (BINANCE, _binance("-9999"), _UNKNOWN),
        (BINANCE, (200, {}), _UNKNOWN),
        (KRAKEN, _kraken("EService:Something new"), _UNKNOWN),
        (KRAKEN, _kraken("EService: Busy"), _UNKNOWN),
        (KRAKEN, (200, {"error": [], "result": {}}), _UNKNOWN),
        (COINBASE, _coinbase("UNKNOWN_FAILURE_REASON"), _UNKNOWN),
        (COINBASE, (200, {"success": True}), _UNKNOWN),
        (KRAKEN_FUTURES, _futures("somethingNew"), _UNKNOWN),
        (KRAKEN_FUTURES, _futures_whole("somethingNew"), _UNKNOWN),
        (KRAKEN_FUTURES, (200, {"result": "success", "sendStatus": {"status": "placed"}}), _UNKNOWN),
        (KRAKEN_FUTURES, (500, {"errors": [{"code": 92, "message": "INSUFFICIENT_MARGIN"}]}), _UNKNOWN),
        # only a refusal has these classes
        (OKX, _okx("51112"), _REJECTED),
        (KRAKEN, _kraken("EOrder:Invalid order:something"), _REJECTED),
        (KRAKEN, _kraken("EGeneral:Invalid arguments:volume"), _REJECTED),
        (COINBASE, (401, "Unauthorized"), _REJECTED),
    ],
    ids=lambda value: value.name if isinstance(value, CryptoCase) else str(value),
)
def test_what_is_in_no_table_may_stand_unless_only_a_refusal_looks_so(
    case: CryptoCase, reply: Any, outcome: WriteOutcome
) -> None:
    with case.opened() as rig:
        order, account = rig.order(), rig.account_id
        rig.wire.says.append(reply)
        with pytest.raises(BrokerError) as failed:
            rig.broker.submit(account, order)
        assert failed.value.outcome is outcome


@pytest.mark.django_db
def test_one_code_of_binance_is_a_duplicate_or_a_refusal_by_its_words() -> None:
    for words, kind in (
        ("Duplicate order sent.", DuplicateClientId),
        ("Account has insufficient balance for requested action.", InsufficientFunds),
    ):
        with BINANCE.opened() as rig:
            order, account = rig.order(), rig.account_id
            rig.wire.says.append(_binance(f"-2010 {words}"))
            with pytest.raises(kind):
                rig.broker.submit(account, order)


@pytest.mark.django_db
def test_a_refusal_for_want_of_time_says_when_to_try_again() -> None:
    with OKX.opened() as rig:
        order, account = rig.order(), rig.account_id
        rig.wire.says.append(_okx("50061"))
        with pytest.raises(RateLimited) as limited:
            rig.broker.submit(account, order)
        assert limited.value.retry_after > 0
