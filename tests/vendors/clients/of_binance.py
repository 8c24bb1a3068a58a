"""binance-sdk-spot: typed answers; what its models do not know it keeps apart."""

import asyncio
from collections.abc import Callable
from importlib import import_module
from typing import Any

from tests.vendors import probe

_STATES = {
    "NEW": "open",
    "PENDING_NEW": "open",
    "PARTIALLY_FILLED": "open",
    "FILLED": "filled",
    "CANCELED": "cancelled",
    "EXPIRED": "expired",
}
PAIR = "BTCUSDT"


def main() -> None:
    given = probe.settings()
    configuration = import_module("binance_common.configuration").ConfigurationRestAPI(
        api_key=given.key, api_secret=given.secret, base_path=given.url, retries=0
    )
    api = import_module("binance_sdk_spot").Spot(config_rest_api=configuration).rest_api
    ids, theirs = given.ids, dict[str, int]()

    def data(answer: Any) -> Any:
        """Every field the fake sends has to be one that the model knows."""
        found = answer.data()
        for each in found if isinstance(found, list) else [found]:
            unknown = getattr(each, "additional_properties", {})
            if unknown:
                raise RuntimeError(f"not in the model: {sorted(unknown)}")
        return found

    def place(name: str, **more: Any) -> str:
        terms = {"side": "BUY", "type": "LIMIT", "time_in_force": "GTC", "quantity": 0.5, "price": 15000, **more}
        asked = {key: value for key, value in terms.items() if value is not None}
        theirs[name] = data(api.new_order(symbol=PAIR, new_client_order_id=ids[name], **asked)).order_id
        return "taken"

    def read(row: Any) -> dict[str, str]:
        filled, worth = probe.number(row.executed_qty), probe.number(row.cummulative_quote_qty)
        return probe.order(
            side=row.side,
            status=_STATES[row.status],
            quantity=row.orig_qty,
            filled=row.executed_qty,
            limit=row.price,
            average=worth / filled if filled else "",
        )

    def look(name: str) -> dict[str, str]:
        return read(data(api.get_order(PAIR, orig_client_order_id=ids[name])))

    def replace() -> dict[str, str]:
        place("before_moved")
        data(
            api.order_cancel_replace(
                PAIR, "BUY", "LIMIT", "STOP_ON_FAILURE", time_in_force="GTC", quantity=0.25, price=15001,
                cancel_orig_client_order_id=ids["before_moved"], new_client_order_id=ids["moved"],
            )
        )  # fmt: skip
        return look("moved")

    def cancel_by_their_id() -> dict[str, str]:
        place("ended")
        data(api.delete_order(PAIR, order_id=theirs["ended"]))
        return look("ended")

    def cancel_by_our_id() -> dict[str, str]:
        place("ended_by_our_id")
        data(api.delete_order(PAIR, orig_client_order_id=ids["ended_by_our_id"]))
        return look("ended_by_our_id")

    def fills() -> list[Any]:
        rows = data(api.my_trades(PAIR, order_id=theirs["market"]))
        return [
            probe.fill(quantity=each.qty, price=each.price, fee=each.commission, coin=each.commission_asset)
            for each in rows
        ]

    def balances() -> dict[str, Any]:
        found = {}
        for each in data(api.get_account()).balances:
            free, locked = probe.number(each.free), probe.number(each.locked)
            found[each.asset] = [probe.plain(free + locked), probe.plain(locked)]
        return found

    def instrument() -> dict[str, str]:
        row = api.exchange_info(symbol=PAIR).data().symbols[0]
        told = {name: value for each in row.filters for name, value in _plain_filter(each).items() if value is not None}
        return {"tick": probe.plain(told["tickSize"]), "lot": probe.plain(told["stepSize"])}

    def quote() -> dict[str, str]:
        row = api.ticker24hr(symbol=PAIR).data()
        row = getattr(row, "actual_instance", None) or row
        return {
            "bid": probe.plain(row.bid_price),
            "ask": probe.plain(row.ask_price),
            "last": probe.plain(row.last_price),
        }

    def fees() -> dict[str, str]:
        return {"spot": probe.plain(data(api.account_commission(PAIR)).standard_commission.taker)}

    def market() -> str:
        return place("market", type="MARKET", time_in_force=None, price=None, quantity=0.1)

    def stop() -> str:
        return place("stop", type="STOP_LOSS_LIMIT", price=31100, stop_price=31000)

    def pair() -> str:
        data(
            api.order_list_oco(
                PAIR, "SELL", 0.5, "LIMIT_MAKER", "STOP_LOSS", above_price=33000, below_stop_price=27000,
                above_client_order_id=ids["pair"], below_client_order_id=ids["pair_stop"],
            )
        )  # fmt: skip
        return "taken"

    def entry() -> str:
        data(
            api.order_list_opoco(
                PAIR, "LIMIT", "BUY", 15000, 0.5, "SELL", "LIMIT_MAKER", working_time_in_force="GTC",
                pending_above_price=33000, pending_below_type="STOP_LOSS", pending_below_stop_price=14000,
                working_client_order_id=ids["entry"], pending_above_client_order_id=ids["target"],
                pending_below_client_order_id=ids["exit_stop"],
            )
        )  # fmt: skip
        return "taken"

    def told(event: Any) -> Any:
        """As it was sent: the client makes a class of the word for the kind."""
        kind = type(event).__name__
        return {"e": kind[0].lower() + kind[1:], **event.to_dict()}

    def stream() -> dict[str, str]:
        def begin(tell: Callable[[Any], None]) -> None:
            async def listen() -> None:
                known = import_module("binance_common.configuration").ConfigurationWebSocketAPI(
                    api_key=given.key,
                    api_secret=given.secret,
                    stream_url=given.url.replace("http", "ws") + "/ws-api/v3",
                )
                sockets = import_module("binance_sdk_spot").Spot(config_ws_api=known).websocket_api
                connection = await sockets.create_connection()
                answer = await connection.user_data_stream_subscribe_signature()
                answer.stream.on("message", lambda event: tell({"event": told(event.actual_instance)}))
                tell({"is_ready": True})
                await asyncio.Event().wait()

            asyncio.run(listen())

        return probe.streamed(
            begin,
            lambda frame: "is_ready" in frame,
            lambda frame: frame["event"]["c"],
            lambda: place("streamed"),
            lambda: data(api.delete_order(PAIR, order_id=theirs["streamed"])),
            ids["streamed"],
        )

    probe.run(
        (
            ("place_limit", lambda: place("rests")),
            ("place_market", market),
            ("place_stop", stop),
            ("place_ioc", lambda: place("ioc", time_in_force="IOC")),
            ("replace", replace),
            ("cancel_by_their_id", cancel_by_their_id),
            ("cancel_by_our_id", cancel_by_our_id),
            ("duplicate", lambda: probe.refused(lambda: place("rests"))),
            ("no_funds", lambda: probe.refused(lambda: place("too_big", quantity=100, price=29000))),
            ("off_the_tick", lambda: probe.refused(lambda: place("too_big", price=15000.123))),
            ("post_only_that_crosses", lambda: probe.refused(
                lambda: place("too_big", type="LIMIT_MAKER", time_in_force=None, price=31000))),
            ("no_such_order", lambda: probe.refused(lambda: look("never"))),
            ("get_by_our_id", lambda: look("rests")),
            ("get_by_their_id", lambda: read(data(api.get_order(PAIR, order_id=theirs["rests"])))),
            ("get_market", lambda: look("market")),
            ("get_stop", lambda: look("stop")),
            ("get_ioc", lambda: look("ioc")),
            ("place_pair", pair),
            ("get_pair", lambda: look("pair")),
            ("get_pair_stop", lambda: look("pair_stop")),
            ("place_entry", entry),
            ("get_entry", lambda: look("entry")),
            ("get_exit_stop", lambda: look("exit_stop")),
            ("list_open", lambda: sorted(each.client_order_id for each in data(api.get_open_orders()))),
            ("fills", fills),
            ("balances", balances),
            ("instrument", instrument),
            ("quote", quote),
            ("fees", fees),
            ("order_stream", stream),
        )
    )  # fmt: skip


def _plain_filter(each: Any) -> dict[str, Any]:
    inner = getattr(each, "actual_instance", None) or each
    found: dict[str, Any] = inner if isinstance(inner, dict) else inner.to_dict()
    return found


if __name__ == "__main__":
    main()
