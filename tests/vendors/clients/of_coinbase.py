"""coinbase-advanced-py: an exception for an HTTP error, none for ``success`` that is false."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from tests.vendors import probe

_STATES = {"OPEN": "open", "FILLED": "filled", "CANCELLED": "cancelled", "EXPIRED": "expired"}
_CONVERSIONS = {"TRADE_STATUS_STARTED": "open", "TRADE_STATUS_COMPLETED": "filled"}
PAIR = "BTC-USD"


def _without_tls(url: str, session: Any) -> None:
    """The client knows no address without TLS: what it sends to this one goes out plain."""
    adapters: Any = import_module("requests.adapters")

    def send(self: Any, request: Any, *args: Any, **named: Any) -> Any:
        request.url = request.url.replace("https://", "http://", 1)
        return adapters.HTTPAdapter.send(self, request, *args, **named)

    session.mount(url.replace("http://", "https://", 1), type("Plain", (adapters.HTTPAdapter,), {"send": send})())


def main() -> None:
    given = probe.settings()
    client = import_module("coinbase.rest").RESTClient(
        api_key=given.key, api_secret=given.secret, base_url=given.url.removeprefix("http://")
    )
    _without_tls(given.url, client.session)
    orders = import_module("coinbase.rest.types.orders_types")
    ids, theirs = given.ids, dict[str, str]()

    def placed(name: str, answer: Any) -> str:
        told = answer.to_dict()
        if told.get("success") is not True:
            raise RuntimeError(str(told.get("error_response")))
        theirs[name] = told["success_response"]["order_id"]
        return "taken"

    def limit(name: str, price: str = "15000", size: str = "0.5") -> str:
        return placed(name, client.limit_order_gtc(ids[name], PAIR, "BUY", size, price))

    def read(row: Any) -> dict[str, str]:
        ((_, terms),) = row["order_configuration"].items()
        return probe.order(
            side=row["side"],
            status=_STATES[row["status"]],
            quantity=terms.get("base_size"),
            filled=row["filled_size"],
            limit=terms.get("limit_price"),
            average=row["average_filled_price"],
        )

    def look(name: str) -> dict[str, str]:
        return read(client.get_order(theirs[name]).to_dict()["order"])

    def replace() -> dict[str, str]:
        limit("moved")
        told = client.edit_order(theirs["moved"], size="0.25", price="15001").to_dict()
        if told.get("success") is not True:
            raise RuntimeError(str(told))
        return look("moved")

    def cancelled(name: str) -> str:
        (row,) = client.cancel_orders([theirs[name]]).to_dict()["results"]
        if row["success"] is not True:
            raise RuntimeError(row["failure_reason"])
        return "taken"

    def cancel_by_their_id() -> dict[str, str]:
        limit("ended")
        cancelled("ended")
        return look("ended")

    def fills() -> list[Any]:
        return [
            probe.fill(quantity=each["size"], price=each["price"], fee=each["commission"], coin="USD")
            for each in client.get_fills(order_ids=[theirs["market"]], product_ids=[PAIR]).to_dict()["fills"]
        ]

    def listed(*states: str) -> list[str]:
        rows = client.list_orders(order_status=list(states), product_ids=[PAIR]).to_dict()["orders"]
        return sorted(each["client_order_id"] for each in rows)

    def balances() -> dict[str, Any]:
        found = {}
        for each in client.get_accounts().to_dict()["accounts"]:
            free, hold = (probe.number(each[name]["value"]) for name in ("available_balance", "hold"))
            found[each["currency"]] = [probe.plain(free + hold), probe.plain(hold)]
        return found

    def instrument() -> dict[str, str]:
        rows = client.get_public_products(product_ids=[PAIR]).to_dict()["products"]
        row = next(each for each in rows if each["product_id"] == PAIR)
        return {"tick": probe.plain(row["price_increment"]), "lot": probe.plain(row["base_increment"])}

    def quote() -> dict[str, str]:
        told = client.get_public_market_trades(PAIR, limit=1).to_dict()
        names = {"bid": told["best_bid"], "ask": told["best_ask"], "last": told["trades"][0]["price"]}
        return {name: probe.plain(value) for name, value in names.items()}

    def fees() -> dict[str, str]:
        tier = client.get_transaction_summary().to_dict()["fee_tier"]
        return {"spot": probe.plain(tier["taker_fee_rate"])}

    def stop() -> str:
        way = "STOP_DIRECTION_STOP_UP"
        return placed("stop", client.stop_limit_order_gtc_buy(ids["stop"], PAIR, "0.5", "31100", "31000", way))

    def wrong_way() -> str:
        way = "STOP_DIRECTION_STOP_DOWN"
        return placed("too_big", client.stop_limit_order_gtc_buy(ids["too_big"], PAIR, "0.5", "31100", "31000", way))

    def pair(name: str, limit_price: str, stop: str) -> str:
        told = client.trigger_bracket_order_gtc_sell(ids[name], PAIR, "0.5", limit_price, stop)
        return placed(name, told)

    def entry(name: str, **more: str) -> str:
        """The client has no argument for it."""
        terms = {"limit_price": "32000", "stop_trigger_price": "14000", **more}
        body = {"client_order_id": ids[name], "product_id": PAIR, "side": "BUY", "order_configuration": {
            "limit_limit_gtc": {"base_size": "0.5", "limit_price": "15000"}},
            "attached_order_configuration": {"trigger_bracket_gtc": terms}}  # fmt: skip
        return placed(name, orders.CreateOrderResponse(client.post("/api/v3/brokerage/orders", data=body)))

    def conversion(row: dict[str, Any]) -> dict[str, str]:
        amounts = {"converts": row["user_entered_amount"]["value"], "fee": row["total_fee"]["amount"]["value"]}
        return {"id": row["id"], **{name: probe.plain(value) for name, value in amounts.items()}}

    def followed(row: dict[str, Any]) -> dict[str, str]:
        return {**conversion(row), "status": _CONVERSIONS[row["status"]]}

    def convert() -> dict[str, str]:
        quote: dict[str, Any] = client.create_convert_quote("USDC", "USD", "25").to_dict()["trade"]
        if quote["status"] != "TRADE_STATUS_CREATED":
            raise RuntimeError(quote["status"])
        theirs["converted"] = quote["id"]
        return conversion(quote)

    def commit() -> dict[str, str]:
        return followed(client.commit_convert_trade(theirs["converted"], "USDC", "USD").to_dict()["trade"])

    def converted() -> dict[str, str]:
        return followed(client.get_convert_trade(theirs["converted"], "USDC", "USD").to_dict()["trade"])

    def convert_too_much() -> Any:
        return probe.refused(lambda: client.create_convert_quote("USDC", "USD", "900000"))

    def stream() -> dict[str, str]:
        def begin(tell: Callable[[Any], None]) -> None:
            updates = import_module("coinbase.websocket").WSUserClient(
                api_key=given.key,
                api_secret=given.secret,
                base_url=given.url.replace("http", "ws"),
                on_message=tell,
                retry=False,
            )
            updates.open()
            updates.subscribe([], ["heartbeats", "user"])
            updates.run_forever_with_exception_check()

        return probe.streamed(
            begin,
            lambda frame: frame.get("channel") == "user",
            lambda frame: frame.get("channel") == "user" and frame["events"][0]["orders"][0]["client_order_id"],
            lambda: limit("streamed"),
            lambda: client.cancel_orders([theirs["streamed"]]),
            ids["streamed"],
        )

    probe.run(
        (
            ("place_limit", lambda: limit("rests")),
            ("place_market", lambda: placed("market", client.market_order_sell(ids["market"], PAIR, base_size="0.1"))),
            ("place_stop", stop),
            ("stop_the_wrong_way", lambda: probe.refused(wrong_way)),
            ("post_only_that_crosses", lambda: probe.refused(lambda: placed(
                "too_big", client.limit_order_gtc(ids["too_big"], PAIR, "BUY", "0.5", "31000", post_only=True)))),
            ("place_pair", lambda: pair("pair", "32000", "28000")),
            ("pair_through_its_stop", lambda: probe.refused(lambda: pair("too_big", "32000", "31000"))),
            ("place_entry", lambda: entry("entry")),
            ("exits_with_a_size", lambda: probe.refused(lambda: entry("too_big", base_size="0.5"))),
            ("place_fok", lambda: placed("ioc", client.limit_order_fok(ids["ioc"], PAIR, "BUY", "0.5", "15000"))),
            ("replace", replace),
            ("cancel_by_their_id", cancel_by_their_id),
            ("cancel_again", lambda: probe.refused(lambda: cancelled("ended"))),
            ("no_funds", lambda: probe.refused(lambda: limit("too_big", "29000", "100"))),
            ("get_by_their_id", lambda: look("rests")),
            ("get_market", lambda: look("market")),
            ("get_stop", lambda: look("stop")),
            ("get_ioc", lambda: look("ioc")),
            ("get_pair", lambda: look("pair")),
            ("get_entry", lambda: look("entry")),
            ("list_open", lambda: listed("OPEN")),
            ("list_several", lambda: len(listed("OPEN", "FILLED", "CANCELLED"))),
            ("fills", fills),
            ("convert_quote", convert),
            ("convert_commit", commit),
            ("convert_get", converted),
            ("convert_again", lambda: probe.refused(commit)),
            ("convert_too_much", convert_too_much),
            ("balances", balances),
            ("instrument", instrument),
            ("quote", quote),
            ("fees", fees),
            ("order_stream", stream),
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
