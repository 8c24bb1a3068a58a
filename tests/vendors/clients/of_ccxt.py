"""Plain ccxt, as anybody would use it: the library that the adapters of the crypto venues stand on, without them."""

from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from tests.vendors import probe

_STATES = {"open": "open", "closed": "filled", "canceled": "cancelled", "expired": "expired"}
_SYMBOLS = {"kraken": "BTC/USD", "coinbase": "BTC/USD", "krakenfutures": "BTC/USD:USD"}
_OUR_ID = {"kraken": "cl_ord_id", "krakenfutures": "cliOrdId", "coinbase": "client_order_id"}
"""What ccxt calls it, where it is no clientOrderId."""
_OPTIONS: dict[str, dict[str, Any]] = {
    "okx": {"createOrder": "privatePostTradeOrder", "cancelOrder": "privatePostTradeCancelOrder"},
    "binance": {"fetchMargins": False, "fetchMarkets": {"types": ["spot"]}},
}
"""Orders one by one, and no markets but those that the adapter offers."""


def main() -> None:
    given = probe.settings()
    venue = getattr(import_module("ccxt"), given.venue)(
        {"apiKey": given.key, "secret": given.secret, "password": given.passphrase, "enableRateLimit": False}
    )
    _point_at(venue, given.url)
    venue.has["fetchCurrencies"] = False
    symbol = _SYMBOLS.get(given.venue, "BTC/USDT")
    ids, theirs = given.ids, dict[str, str]()
    if given.venue == "okx":
        venue.headers = {"x-simulated-trading": "1"}
    venue.options.update(_OPTIONS.get(given.venue, {}))

    def loaded() -> str:
        return "taken" if symbol in venue.load_markets() else ""

    def place(name: str, kind: str = "limit", side: str = "buy", price: Any = 15000, amount: float = 0.5) -> str:
        params = {_OUR_ID.get(given.venue, "clientOrderId"): ids[name]}
        if given.venue == "okx" and kind == "market":
            params["tgtCcy"] = "base_ccy"
        theirs[name] = venue.create_order(symbol, kind, side, amount, price, params)["id"]
        return "taken"

    def look(name: str) -> dict[str, str]:
        row = venue.fetch_order(theirs[name], symbol)
        return probe.order(
            side=row["side"],
            status=_STATES[row["status"]],
            quantity=row["amount"],
            filled=row["filled"],
            limit=row["price"] if row["type"] == "limit" else "",
            average=row["average"],
        )

    def resting() -> dict[str, str]:
        row = next(each for each in venue.fetch_open_orders(symbol) if each["id"] == theirs["rests"])
        return probe.order(
            side=row["side"],
            status=_STATES[row["status"]],
            quantity=row["amount"],
            filled=row["filled"] or 0,
            limit=row["price"],
            average=row["average"],
        )

    def cancel() -> str:
        place("ended")
        venue.cancel_order(theirs["ended"], symbol)
        return "taken"

    def too_big() -> Any:
        return probe.refused(lambda: place("too_big", price=29000, amount=100))

    def open_ids() -> list[str]:
        return sorted(each["clientOrderId"].replace("-", "") for each in venue.fetch_open_orders(symbol))

    def fills() -> list[Any]:
        found = [each for each in venue.fetch_my_trades(symbol) if each["order"] == theirs["market"]]
        return [
            probe.fill(
                quantity=each["amount"],
                price=each["price"],
                fee=each["fee"]["cost"] if each["fee"] else "",
                coin=each["fee"]["currency"] if each["fee"] else "",
            )
            for each in found
        ]

    def balances() -> dict[str, Any]:
        told = venue.fetch_balance({"v3": True} if given.venue == "coinbase" else {})
        return {
            coin: [probe.plain(total), probe.plain(told["used"][coin] or 0)]
            for coin, total in told["total"].items()
            if total
        }

    def instrument() -> dict[str, str]:
        steps = venue.market(symbol)["precision"]
        return {"tick": _step(steps["price"]), "lot": _step(steps["amount"])}

    def quote() -> dict[str, str]:
        told = venue.fetch_ticker(symbol)
        return {name: probe.plain(told[name]) for name in ("bid", "ask", "last")}

    probe.run(
        (
            ("markets", loaded),
            ("place_limit", lambda: place("rests")),
            ("place_sale", lambda: place("sale", "limit", "sell", 45000)),
            ("place_market", lambda: place("market", "market", "sell", None, 0.1)),
            ("cancel_by_their_id", cancel),
            *(() if ":" in symbol else (("no_funds", too_big),)),
            ("no_such_order", lambda: probe.refused(lambda: venue.cancel_order("999", symbol))),
            ("get_by_our_id", resting),
            ("get_by_their_id", lambda: look("rests")),
            ("get_sale", lambda: look("sale")),
            ("get_market", lambda: look("market")),
            ("list_open", open_ids),
            ("fills", fills),
            ("balances", balances),
            ("instrument", instrument),
            ("quote", quote),
        )
    )


def _step(value: float) -> str:
    return probe.plain(probe.number(value))


def _point_at(venue: Any, base: str) -> None:
    def moved(leaf: Any) -> Any:
        if isinstance(leaf, dict):
            return {name: moved(each) for name, each in leaf.items()}
        return base + urlsplit(venue.implode_hostname(leaf)).path if isinstance(leaf, str) else leaf

    venue.urls["api"] = moved(venue.urls["api"])


if __name__ == "__main__":
    main()
