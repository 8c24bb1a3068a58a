"""alpaca-py: every answer goes through a model of its own, every request is made from one."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import Enum
from importlib import import_module
from typing import Any

from tests.vendors import probe

_STATES = {
    **dict.fromkeys(("pending_new", "new", "accepted", "held", "partially_filled"), "open"),
    "filled": "filled",
    "canceled": "cancelled",
    "replaced": "replaced",
    "expired": "expired",
}
_TYPES = {"market": "MKT", "limit": "LMT", "stop": "STP", "stop_limit": "STP_LIMIT", "trailing_stop": "TRAIL"}
_WORDS = {
    "order_status": "OrderStatus",
    "order_type": "OrderType",
    "order_class": "OrderClass",
    "side": "OrderSide",
    "tif": "TimeInForce",
    "asset_class": "AssetClass",
    "activity": "ActivityType",
    "exchange": "AssetExchange",
}
"""Our name for a kind of word → the client's list of them."""
SYMBOL = "AAPL"
CONTRACT, HIGHER = "AAPL260618C00250000", "AAPL260618C00260000"


def main() -> None:
    given = probe.settings()
    keys = (given.key, given.secret)
    trading = import_module("alpaca.trading.client").TradingClient(*keys, url_override=given.url)
    historical = import_module("alpaca.data.historical")
    stocks, coins, options = (
        getattr(historical, f"{kind}HistoricalDataClient")(*keys, url_override=given.url)
        for kind in ("Stock", "Crypto", "Option")
    )
    requests, enums = import_module("alpaca.trading.requests"), import_module("alpaca.trading.enums")
    asking = import_module("alpaca.data.requests")
    ids, theirs = given.ids, dict[str, str]()

    def place(name: str, kind: str = "Limit", **more: Any) -> str:
        terms = {"symbol": SYMBOL, "qty": 2, "side": "buy", "time_in_force": "gtc", "client_order_id": ids[name]}
        made = getattr(requests, f"{kind}OrderRequest")(**{**terms, **more})
        theirs[name] = str(trading.submit_order(made).id)
        return "taken"

    def read(row: Any) -> dict[str, str]:
        return probe.order(
            side=row.side.value,
            status=_STATES[row.status.value],
            quantity=row.qty,
            filled=row.filled_qty,
            limit=row.limit_price,
            average=row.filled_avg_price,
            type=_TYPES[row.type.value],
            tif=row.time_in_force.value.upper(),
            stop=probe.price(row.stop_price),
        )

    def look(name: str) -> dict[str, str]:
        return read(trading.get_order_by_client_id(ids[name]))

    def cancel_by_their_id() -> dict[str, str]:
        place("ended", limit_price=90)
        trading.cancel_order_by_id(theirs["ended"])
        return look("ended")

    def replace() -> dict[str, str]:
        place("before_moved", limit_price=90)
        asked = requests.ReplaceOrderRequest(qty=1, limit_price=91, client_order_id=ids["moved"])
        theirs["moved"] = str(trading.replace_order_by_id(theirs["before_moved"], asked).id)
        return look("moved")

    def bracket() -> str:
        place(
            "bracket",
            limit_price=90,
            order_class="bracket",
            take_profit=requests.TakeProfitRequest(limit_price=200),
            stop_loss=requests.StopLossRequest(stop_price=80),
        )
        asked = requests.GetOrderByIdRequest(nested=True)
        if len(trading.get_order_by_id(theirs["bracket"], asked).legs or ()) != 2:
            raise RuntimeError("without its exits")
        return "taken"

    def spread() -> dict[str, Any]:
        sold, bought = (
            requests.OptionLegRequest(symbol=symbol, ratio_qty=1, side=side)
            for symbol, side in ((CONTRACT, "sell"), (HIGHER, "buy"))
        )
        alone: dict[str, Any] = {"symbol": None, "side": None, "time_in_force": "day", "order_class": "mleg"}
        place("spread", **alone, limit_price=-1.4, legs=[sold, bought])
        told = trading.get_order_by_id(theirs["spread"], requests.GetOrderByIdRequest(nested=True))
        return {
            "net": probe.plain(told.limit_price),
            "quantity": probe.plain(told.qty),
            "legs": sorted([each.symbol, each.side.value, probe.plain(each.qty)] for each in told.legs),
        }

    def cancel_spread() -> str:
        trading.cancel_order_by_id(theirs["spread"])
        told = trading.get_order_by_id(theirs["spread"], requests.GetOrderByIdRequest(nested=True))
        if {each.status.value for each in (told, *told.legs)} != {"canceled"}:
            raise RuntimeError("a leg still stands")
        return "cancelled"

    def ids_of(rows: list[Any]) -> list[str]:
        return sorted(each.client_order_id for row in rows for each in (row, *(row.legs or ())))

    def open_ids() -> list[str]:
        asked = requests.GetOrdersRequest(status=enums.QueryOrderStatus.OPEN, limit=50, nested=True)
        return ids_of(trading.get_orders(asked))

    def of_symbol() -> list[str]:
        asked = requests.GetOrdersRequest(status=enums.QueryOrderStatus.OPEN, symbols=[SYMBOL], nested=True)
        return ids_of(trading.get_orders(asked))

    def fills() -> list[Any]:
        rows = trading.get("/account/activities", {"activity_types": "FILL"})  # the client has no call of its own
        return [
            probe.fill(quantity=each["qty"], price=each["price"], fee="0", coin="USD")
            for each in rows
            if each["order_id"] == theirs["market"]
        ]

    def balances() -> dict[str, Any]:
        told = trading.get_account()
        held = probe.number(told.cash) - probe.number(told.non_marginable_buying_power)
        return {told.currency: [probe.plain(told.cash), probe.plain(held)]}

    def money() -> dict[str, str]:
        told = trading.get_account()
        return {"equity": probe.plain(told.equity), "buying_power": probe.plain(told.buying_power)}

    def positions() -> list[Any]:
        return [
            {
                "quantity": probe.plain(each.qty),
                "side": each.side.value,
                "average": probe.plain(each.avg_entry_price),
            }
            for each in trading.get_all_positions()
        ]

    def instrument() -> dict[str, str]:
        told = trading.get_asset("BTC/USD")
        return {
            "symbol": told.symbol,
            "tick": probe.plain(told.price_increment),
            "lot": probe.plain(told.min_trade_increment),
        }

    def quote() -> dict[str, str]:
        told = stocks.get_stock_snapshot(asking.StockSnapshotRequest(symbol_or_symbols=SYMBOL))[SYMBOL]
        latest = told.latest_quote
        return {
            "bid": probe.plain(latest.bid_price),
            "ask": probe.plain(latest.ask_price),
            "last": probe.plain(told.latest_trade.price),
        }

    def bars() -> list[Any]:
        frame = import_module("alpaca.data.timeframe").TimeFrame.Minute
        asked = asking.StockBarsRequest(
            symbol_or_symbols=SYMBOL, timeframe=frame, limit=3, start=datetime.now(UTC) - timedelta(hours=1)
        )
        rows = stocks.get_stock_bars(asked)[SYMBOL][:3]
        return [[probe.plain(getattr(each, name)) for name in ("open", "high", "low", "close")] for each in rows]

    def book() -> dict[str, Any]:
        told = coins.get_crypto_latest_orderbook(asking.CryptoLatestOrderbookRequest(symbol_or_symbols="BTC/USD"))
        sides = {"bids": told["BTC/USD"].bids, "asks": told["BTC/USD"].asks}
        return {
            side: [[probe.plain(each.price), probe.plain(each.size)] for each in levels if each.size]
            for side, levels in sides.items()
        }

    def calendar() -> list[Any]:
        first = datetime(2026, 11, 27, tzinfo=UTC).date()
        told = trading.get_calendar(requests.GetCalendarRequest(start=first, end=first))
        return [[str(each.date), each.open.strftime("%H:%M"), each.close.strftime("%H:%M")] for each in told]

    def contracts() -> str:
        first = datetime.now(UTC).date()
        asked = requests.GetOptionContractsRequest(
            underlying_symbols=[SYMBOL], expiration_date_lte=first + timedelta(days=40), type="call"
        )
        if not trading.get_option_contracts(asked).option_contracts:
            raise RuntimeError("none")
        return "taken"

    def contract() -> dict[str, str]:
        told = trading.get_option_contract(CONTRACT)
        return {"symbol": told.symbol, "multiplier": probe.plain(told.size), "expires": str(told.expiration_date)}

    def chain() -> dict[str, str]:
        told = options.get_option_chain(asking.OptionChainRequest(underlying_symbol=SYMBOL, type="call"))
        first = min(told.values(), key=lambda each: str(each.symbol))
        return {
            "symbol": first.symbol,
            "bid": probe.plain(first.latest_quote.bid_price),
            "ask": probe.plain(first.latest_quote.ask_price),
            "delta": probe.plain(first.greeks.delta),
            "volatility": probe.plain(first.implied_volatility),
        }

    def words() -> dict[str, list[str]]:
        kinds: dict[str, type[Enum]] = {name: getattr(enums, theirs) for name, theirs in _WORDS.items()}
        return {name: sorted(str(each.value) for each in kind) for name, kind in kinds.items()}

    def stream() -> dict[str, str]:
        """Its model reads every field of the order; it keeps the broker's yes to itself."""
        updates = import_module("alpaca.trading.stream").TradingStream(
            *keys, url_override=given.url.replace("http", "ws") + "/stream"
        )

        def begin(tell: Callable[[Any], None]) -> None:
            async def heard(update: Any) -> None:
                tell({"stream": "trade_updates", "data": update.model_dump(mode="json")})

            async def listen() -> None:
                running = asyncio.ensure_future(updates._run_forever())
                while not updates._running:
                    await asyncio.sleep(0.05)
                await asyncio.sleep(0.5)
                tell({"is_ready": True})
                await running

            updates.subscribe_trade_updates(heard)
            asyncio.run(listen())

        return probe.streamed(
            begin,
            lambda frame: "is_ready" in frame,
            lambda frame: frame["data"]["order"]["client_order_id"],
            lambda: place("streamed", limit_price=90),
            lambda: trading.cancel_order_by_id(theirs["streamed"]),
            ids["streamed"],
        )

    probe.run(
        (
            *((f"words_{kind}", lambda told=told: told) for kind, told in words().items()),
            ("place_limit", lambda: place("rests", limit_price=90)),
            ("place_market", lambda: place("market", "Market")),
            ("place_stop", lambda: place("stop", "Stop", stop_price=220)),
            ("place_stop_limit", lambda: place("stop_limit", "StopLimit", stop_price=220, limit_price=221)),
            ("place_trail", lambda: place("trail", "TrailingStop", trail_percent=5, side="sell", qty=1)),
            ("place_notional", lambda: place("spend", "Market", qty=None, notional=100, time_in_force="day")),
            ("place_ioc", lambda: place("ioc", limit_price=90, time_in_force="ioc")),
            ("place_bracket", bracket),
            ("option_spread", spread),
            ("cancel_spread", cancel_spread),
            ("replace", replace),
            ("cancel_by_their_id", cancel_by_their_id),
            ("duplicate", lambda: probe.refused(lambda: place("rests", limit_price=90))),
            ("no_funds", lambda: probe.refused(lambda: place("too_big", qty=10_000_000, limit_price=180))),
            ("no_such_order", lambda: probe.refused(lambda: look("never"))),
            ("get_by_our_id", lambda: look("rests")),
            ("get_by_their_id", lambda: read(trading.get_order_by_id(theirs["rests"]))),
            ("get_market", lambda: look("market")),
            ("get_stop", lambda: look("stop")),
            ("get_stop_limit", lambda: look("stop_limit")),
            ("get_trail", lambda: look("trail")),
            ("get_spend", lambda: look("spend")),
            ("get_ioc", lambda: look("ioc")),
            ("list_open", open_ids),
            ("list_of_symbol", of_symbol),
            ("fills", fills),
            ("balances", balances),
            ("money", money),
            ("positions", positions),
            ("instrument", instrument),
            ("quote", quote),
            ("bars", bars),
            ("order_book", book),
            ("calendar", calendar),
            ("option_contracts", contracts),
            ("option_contract", contract),
            ("option_chain", chain),
            ("order_stream", stream),
        )
    )


if __name__ == "__main__":
    main()
