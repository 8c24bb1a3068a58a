"""What an answer proves by its status and its form, where no table names its words."""

from typing import Any

import pytest

from brokers.errors import (
    AuthFailed,
    BrokerError,
    BrokerUnavailable,
    InsufficientFunds,
    PermissionDenied,
    RateLimited,
    WriteOutcome,
)
from brokers.types import OrderChanges
from tests.brokers.contract.cases import BINANCE, COINBASE, CRYPTO, KRAKEN, KRAKEN_FUTURES, OKX, CryptoCase, new_id
from tests.brokers.crypto.recorded import answers, resting, steady
from tests.brokers.faults import Reply

_UNKNOWN, _REJECTED = WriteOutcome.UNKNOWN, WriteOutcome.REJECTED


def _okx(code: str, words: str = "", status: int = 200) -> Reply:
    return status, {"code": "1", "msg": "", "data": [{"clOrdId": "", "ordId": "", "sCode": code, "sMsg": words}]}


def _binance(status: int, code: int, words: str = "") -> Reply:
    return status, {"code": code, "msg": words}


def _kraken(*errors: str, status: int = 200) -> Reply:
    return status, {"error": list(errors)}


def _coinbase(**reasons: str) -> Reply:
    return 200, {"success": False, "error_response": reasons}


def _futures(status: str, *events: str) -> Reply:
    told = {"status": status, "orderEvents": [{"type": each, "reason": "SOME_REASON"} for each in events]}
    return 200, {"result": "success", "sendStatus": told}


_REFUSAL: dict[CryptoCase, Reply] = {
    OKX: _okx("51008", "Insufficient USDT balance"),
    BINANCE: _binance(400, -2010, "Account has insufficient balance for requested action."),
    KRAKEN: _kraken("EOrder:Insufficient funds"),
    COINBASE: _coinbase(error="INSUFFICIENT_FUND", preview_failure_reason="PREVIEW_INSUFFICIENT_FUND"),
    KRAKEN_FUTURES: _futures("insufficientAvailableFunds", "REJECT"),
}


def _sent(case: CryptoCase, reply: Reply) -> BrokerError:
    with steady(case) as rig:
        order, account = rig.order(), rig.account_id
        rig.wire.says.append(reply)
        with pytest.raises(BrokerError) as failed:
            rig.broker.submit(account, order)
        assert rig.wire.sent[order.client_order_id] == 1
        return failed.value


@pytest.mark.parametrize("case", CRYPTO, ids=lambda case: case.name)
@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 408])
def test_what_a_server_that_failed_says_of_an_order_proves_nothing(case: CryptoCase, status: int) -> None:
    assert _sent(case, (status, _REFUSAL[case][1])).outcome is _UNKNOWN


@pytest.mark.parametrize("case", CRYPTO, ids=lambda case: case.name)
@pytest.mark.parametrize("body", [{}, "Too Many Requests", {"message": "slow down"}])
def test_429_without_a_code_of_the_venue_proves_nothing(case: CryptoCase, body: Any) -> None:
    assert _sent(case, (429, body)).outcome is _UNKNOWN


@pytest.mark.parametrize("case", CRYPTO, ids=lambda case: case.name)
@pytest.mark.parametrize(
    ("status", "kind"), [(401, AuthFailed), (403, PermissionDenied), (451, PermissionDenied), (400, BrokerError)]
)
def test_a_request_that_was_turned_away_at_the_gate_was_not_taken(
    case: CryptoCase, status: int, kind: type[BrokerError]
) -> None:
    bodies: tuple[Any, ...] = ({}, "<html>Forbidden</html>")
    for body in bodies:
        error = _sent(case, (status, body))
        assert isinstance(error, kind)
        assert error.outcome is _REJECTED


@pytest.mark.parametrize("case", [BINANCE, OKX, COINBASE, KRAKEN, KRAKEN_FUTURES], ids=lambda case: case.name)
def test_a_cancel_and_a_change_are_judged_by_the_status_as_an_order_is(case: CryptoCase) -> None:
    with steady(case) as rig:
        order = resting(rig)
        method, path = case.sends["cancel"]  # type: ignore[index]
        answers(rig, path, (503, _REFUSAL[case][1]), method)
        with pytest.raises(BrokerError) as failed:
            rig.broker.cancel(rig.account_id, order.client_order_id, symbol=rig.symbol)
        assert failed.value.outcome is _UNKNOWN
        if rig.can.replace:
            method, path = case.sends["replace"]  # type: ignore[index]
            answers(rig, path, (500, _REFUSAL[case][1]), method)
            with pytest.raises(BrokerError) as failed:
                rig.broker.replace(
                    rig.account_id, order.client_order_id, OrderChanges(limit_price=rig.low_price + 1), new_id()
                )
            assert failed.value.outcome is _UNKNOWN


def test_a_venue_that_does_not_serve_this_country_is_named_as_that_for_reads_too() -> None:
    with steady(BINANCE) as rig:
        account = rig.account_id
        answers(rig, "/api/v3/account", (451, {"code": 0, "msg": "Service unavailable from a restricted location"}))
        with pytest.raises(PermissionDenied, match="the location of this server"):
            rig.broker.account_state(account)


def test_no_such_order_from_a_server_that_failed_is_not_an_order_that_is_not_there() -> None:
    for case, reply in (
        (BINANCE, _binance(500, -2013, "Order does not exist.")),
        (OKX, (503, {"code": "51603", "msg": "Order does not exist", "data": []})),
    ):
        with steady(case) as rig:
            order = resting(rig)
            answers(rig, case.venue.order_path, reply, "GET")
            with pytest.raises(BrokerUnavailable):
                rig.broker.order(rig.account_id, order.client_order_id, symbol=rig.symbol)


@pytest.mark.parametrize(
    ("case", "reply"),
    [
        *((OKX, _okx(code)) for code in ("51017", "51019", "51023", "51025", "51111", "51136", "54000")),
        (BINANCE, _binance(451, 0, "Service unavailable from a restricted location according to 'b. Eligibility'.")),
        (OKX, (400, {"code": "50014", "msg": "Parameter sz can not be empty.", "data": []})),
        (OKX, (400, {"code": "50044", "msg": "Must select one broker type", "data": []})),
        *((BINANCE, _binance(400, -code)) for code in (1101, 1103, 1104, 1112, 1114, 1117, 1128, 1131, 1010, 2039)),
        *(
            (KRAKEN, _kraken(error))
            for error in (
                "EOrder:Permanent order",
                "EAuth:Account temporary disabled",
                "EAuth:Account unconfirmed",
                "EBM:limit exceeded:CAL",
                "EOrder:Unknown position",
                "EOrder:Scheduled orders limit exceeded",
                "EOrder:Reduce only:Non-PC",
                "EAPI:Bad request",
                "EGeneral:Unknown method",
            )
        ),
        *(
            (COINBASE, _coinbase(error="UNKNOWN_FAILURE_REASON", preview_failure_reason=reason))
            for reason in (
                "PREVIEW_INVALID_SIZE_PRECISION",
                "PREVIEW_MISSING_COMMISSION_RATE",
                "PREVIEW_LIMIT_PRICE_TOO_FAR_FROM_MARKET",
                "SOMETHING_NEW",
            )
        ),
        (
            COINBASE,
            _coinbase(error="UNKNOWN_FAILURE_REASON", new_order_failure_reason="POST_ONLY_NOT_ALLOWED_WITH_FOK"),
        ),
        (COINBASE, (400, {"error": "FAILED_PRECONDITION", "error_details": "", "message": ""})),
        (KRAKEN_FUTURES, _futures("wouldCauseLiquidation", "REJECT")),
        (KRAKEN_FUTURES, _futures("somethingNew", "REJECT")),
        (KRAKEN_FUTURES, (400, {"result": "error", "error": "somethingNew"})),
    ],
    ids=lambda value: str(getattr(value, "name", value)),
)
def test_a_refusal_that_no_table_names_is_one_by_its_form(case: CryptoCase, reply: Reply) -> None:
    assert _sent(case, reply).outcome is _REJECTED


@pytest.mark.parametrize(
    ("case", "reply"),
    [
        (OKX, _okx("51999", "System error, please try again later")),
        (OKX, _okx("51999", "Order timed out")),
        (OKX, (400, {"code": "50004", "msg": "Endpoint request timeout", "data": []})),
        (OKX, (429, {"code": "50013", "msg": "Systems are busy. Please try again later.", "data": []})),
        (BINANCE, _binance(400, -1000, "An unknown error occured while processing the request.")),
        (BINANCE, _binance(400, -1198, "Internal error; unable to process your request.")),
        (BINANCE, _binance(400, -9999, "Whatever")),
        (BINANCE, _binance(429, -2010, "Account has insufficient balance for requested action.")),
        (KRAKEN, _kraken("EService:Unavailable")),
        (KRAKEN, _kraken("EOrder:Internal error")),
        (KRAKEN, _kraken("EOrder:Insufficient funds", "EService:Busy")),
        (KRAKEN, _kraken("something else")),
        (COINBASE, _coinbase(error="UNKNOWN_FAILURE_REASON", preview_failure_reason="UNKNOWN_PREVIEW_FAILURE_REASON")),
        (COINBASE, _coinbase(error="INTERNAL_SERVER_ERROR")),
        (COINBASE, (400, {"error": "DEADLINE_EXCEEDED", "message": ""})),
        (KRAKEN_FUTURES, _futures("somethingNew")),
        (KRAKEN_FUTURES, _futures("somethingNew", "REJECT", "EXECUTION")),
        (KRAKEN_FUTURES, (400, {"result": "error", "error": "Server Error"})),
        (KRAKEN_FUTURES, _futures("partiallyFilled", "EXECUTION")),
    ],
    ids=lambda value: str(getattr(value, "name", value)),
)
def test_words_about_the_venue_itself_and_forms_that_are_no_refusal_prove_nothing(
    case: CryptoCase, reply: Reply
) -> None:
    assert _sent(case, reply).outcome is _UNKNOWN


@pytest.mark.parametrize(
    ("case", "reply", "kind"),
    [
        *((OKX, _okx(code), PermissionDenied) for code in ("51009", "51024", "51732", "51733", "51734")),
        (OKX, _okx("51736", "Insufficient USDT balance"), InsufficientFunds),
        (KRAKEN, _kraken("EAuth:Account temporary disabled"), PermissionDenied),
        (KRAKEN, _kraken("EAuth:Rate limit exceeded"), RateLimited),
        (KRAKEN, _kraken("EOrder:Insufficient initial margin"), InsufficientFunds),
        (COINBASE, _coinbase(preview_failure_reason="PREVIEW_INSUFFICIENT_FUNDS_IN_VAULT"), InsufficientFunds),
        (BINANCE, _binance(429, -1003, "Too many requests queued."), RateLimited),
        (BINANCE, _binance(418, -1003, "Way too many requests; IP banned."), RateLimited),
        (OKX, (429, {"code": "50011", "msg": "Requests too frequent.", "data": []}), RateLimited),
    ],
    ids=lambda value: str(getattr(value, "name", value)),
)
def test_a_refusal_is_of_the_kind_that_its_words_are_about(
    case: CryptoCase, reply: Reply, kind: type[BrokerError]
) -> None:
    error = _sent(case, reply)
    assert type(error) is kind
    assert error.outcome is _REJECTED
