"""Why an order ended early, in its broker's words; when it last changed; and names in whatever letters."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from brokers.errors import NotCancellable, NotSupported
from brokers.krakenfutures.adapter import KrakenFuturesBroker
from brokers.types import BrokerOrder, BrokerStatus, OrderChanges
from tests.brokers.contract.cases import BINANCE, COINBASE, KRAKEN, KRAKEN_FUTURES, OKX, CryptoCase, new_id
from tests.brokers.crypto.recorded import Row, answers, at_venue, resting, rewritten, steady
from tests.brokers.exchange import Listing
from tests.brokers.krakenfutures.fake import KrakenFuturesFake


def _ended(case: CryptoCase, **fields: str) -> BrokerOrder:
    with steady(case) as rig:
        order = resting(rig)
        rig.broker.cancel(rig.account_id, order.client_order_id, symbol=rig.symbol)
        rewritten(rig, lambda row: {**row, **fields})
        found = rig.broker.order(rig.account_id, order.client_order_id, symbol=rig.symbol)
        assert found is not None
        return found


@pytest.mark.parametrize(
    ("case", "fields", "reason"),
    [
        (KRAKEN, {"reason": "Insufficient margin"}, "Insufficient margin"),
        (KRAKEN, {"reason": "https://evil.example/ says so"}, ""),
        (COINBASE, {"cancel_message": "User requested cancel"}, "User requested cancel"),
        (COINBASE, {"status": "FAILED", "reject_message": "", "reject_reason": "HOLD_FAILURE"}, "HOLD_FAILURE"),
        (COINBASE, {"status": "FAILED", "reject_message": "Too large", "reject_reason": "HOLD_FAILURE"}, "Too large"),
        (COINBASE, {}, ""),
        (
            OKX,
            {"cancelSource": "1", "cancelSourceReason": "Order canceled by the user."},
            "Order canceled by the user.",
        ),
        (OKX, {"cancelSource": "0", "cancelSourceReason": ""}, ""),
        (BINANCE, {"status": "EXPIRED_IN_MATCH"}, "EXPIRED_IN_MATCH"),
        (BINANCE, {"status": "EXPIRED", "expiryReason": "INSUFFICIENT_LIQUIDITY"}, "INSUFFICIENT_LIQUIDITY"),
    ],
    ids=lambda value: str(getattr(value, "name", value)),
)
def test_the_brokers_own_words_on_why_an_order_ended_early(case: CryptoCase, fields: Row, reason: str) -> None:
    assert _ended(case, **fields).reason == reason


def test_kraken_futures_says_why_in_its_history() -> None:
    with steady(KRAKEN_FUTURES) as rig:
        order = resting(rig)
        rig.broker.cancel(rig.account_id, order.client_order_id)
        found = rig.broker.order(rig.account_id, order.client_order_id)
        assert found is not None
        assert (found.status, found.reason) == (BrokerStatus.CANCELLED, "cancelled_by_user")


def test_an_order_that_still_stands_has_no_reason() -> None:
    with steady(OKX) as rig:
        order = resting(rig)
        rewritten(rig, lambda row: {**row, "cancelSourceReason": "Order canceled by the user."})
        found = rig.broker.order(rig.account_id, order.client_order_id, symbol=rig.symbol)
        assert found is not None
        assert found.reason == ""


@pytest.mark.parametrize(
    ("name", "time", "at"),
    [
        ("last_fill_time", "2031-05-06T07:08:09.123456789Z", datetime(2031, 5, 6, 7, 8, 9, 123000, UTC)),
        ("last_update_time", "2031-05-06T07:08:09Z", datetime(2031, 5, 6, 7, 8, 9, 0, UTC)),
    ],
)
def test_an_order_of_coinbase_changed_when_it_last_filled(name: str, time: str, at: datetime) -> None:
    assert _ended(COINBASE, **{name: time}).updated_at == at


def test_an_order_that_binance_archived_ended_unfilled() -> None:
    with steady(BINANCE) as rig:
        order = resting(rig)
        answers(rig, "/api/v3/order", (400, {"code": -2026, "msg": "Order was archived."}), "GET")
        found = rig.broker.order(rig.account_id, order.client_order_id, symbol=rig.symbol)
        assert found is not None
        assert (found.status, found.filled_quantity) == (BrokerStatus.CANCELLED, Decimal(0))
        assert "archived" in found.reason
        with pytest.raises(NotCancellable):
            rig.broker.cancel(rig.account_id, order.client_order_id, symbol=rig.symbol)


@pytest.mark.parametrize("told_as", ["PF_AAPLxUSD", "PF_AAPLXUSD", "pf_aaplxusd"])
def test_a_contract_with_a_small_letter_is_found_again_whatever_letters_its_orders_come_in(told_as: str) -> None:
    with steady(KRAKEN_FUTURES) as rig:
        fake = rig.wire
        assert isinstance(fake, KrakenFuturesFake)
        assert isinstance(rig.broker, KrakenFuturesBroker)
        fake.listings["PF_AAPLxUSD"] = Listing(
            symbol="AAPLX/USD:USD", wire="PF_AAPLxUSD", base="AAPLx", quote="USD", tick="0.01", lot="0.01",
            minimum="0.01", kind="perpetual", bid="269.9", ask="270.1", last="270",
        )  # fmt: skip
        rig.broker._client.public._loaded = 0.0
        account = rig.account_id
        order = rig.order(symbol="AAPLX/USD:USD", limit_price=Decimal(200))
        rig.broker.submit(account, order)
        assert fake.bodies[-1]["symbol"] == "PF_AAPLxUSD"
        other = resting(rig)
        rewritten(rig, lambda row: {**row, "symbol": told_as if "AAPL" in row["symbol"] else row["symbol"]})
        found = rig.broker.order(account, order.client_order_id)
        assert found is not None
        assert found.symbol == "AAPLX/USD:USD"
        assert {each.client_order_id for each in rig.broker.orders(account)} == {
            order.client_order_id, other.client_order_id,
        }  # fmt: skip
        fake.held = told_as
        assert [each.symbol for each in rig.broker.positions(account)] == ["AAPLX/USD:USD"]
        assert rig.broker.cancel(account, order.client_order_id).status is BrokerStatus.CANCELLED
        assert at_venue(fake, other.client_order_id).status == "open"


def test_an_order_of_a_kind_without_a_word_is_not_changed() -> None:
    with steady(KRAKEN) as rig:
        order = resting(rig)
        rewritten(rig, lambda row: {**row, "descr": {**row["descr"], "ordertype": "take-profit"}})
        with pytest.raises(NotSupported, match="terms that cannot be changed"):
            rig.broker.replace(rig.account_id, order.client_order_id, OrderChanges(quantity=Decimal(1)), new_id())
