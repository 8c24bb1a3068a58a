"""The market set through the MCP endpoint: each number follows from another tool's, and what cannot be had is
refused.
"""

import statistics
from decimal import Decimal
from typing import Any

import pytest

from tests.mcpserver.wire import Wire
from tests.serving import Server

TRIES = 3
"""Two answers may lie on either side of the turn of a minute."""


@pytest.fixture(scope="module")
def server(shared_server: Server) -> Server:
    return shared_server


@pytest.fixture
def read(server: Server) -> Wire:
    return Wire(server.mcp_url, server.quickstart["paper_key_read"])


def quote(wire: Wire, symbol: str) -> dict[str, Any]:
    (found,) = wire.result("get_quote", {"symbols": [symbol]})["quotes"]
    return dict(found)


@pytest.mark.parametrize("symbol", ["AAPL", "BTC/USD"])
def test_quote_book_prints_and_bars_agree_on_the_last_minute(read: Wire, symbol: str) -> None:
    for _ in range(TRIES):
        now = quote(read, symbol)
        book = read.result("get_order_book", {"symbol": symbol, "depth": 20})
        trades = read.result("get_trades", {"symbol": symbol, "limit": 5})
        history = read.result("get_history", {"symbol": symbol, "bar": "1m", "limit": 5})
        if quote(read, symbol)["as_of"] == now["as_of"]:
            break
    assert now["as_of"] == book["as_of"] == trades["trades"][0]["at"] == history["as_of"]
    bids, asks = book["bids"], book["asks"]
    assert (bids[0]["price"], asks[0]["price"]) == (now["bid"], now["ask"])
    assert len(bids) == len(asks) == 20
    for levels, away in ((bids, -1), (asks, 1)):
        prices = [Decimal(level["price"]) * away for level in levels]
        assert prices == sorted(prices) and len(set(prices)) == 20
        assert all(Decimal(level["size"]) > 0 for level in levels)
    assert book["simulated"] is True
    assert book["source"].startswith("simulated depth") and now["source"] in book["source"]
    bars = history["bars"]
    assert [trade["price"] for trade in trades["trades"]] == [bar["close"] for bar in reversed(bars)]
    assert [trade["size"] for trade in trades["trades"]] == [bar["volume"] for bar in reversed(bars)]
    assert "its close" in trades["note"]
    assert now["last"] == bars[-1]["close"]
    assert Decimal(now["change"]) == Decimal(now["last"]) - Decimal(now["day_open"])
    for answer in (now, book, trades, history):
        assert 0 <= answer["delay_seconds"] < 180 and answer["source"]


def test_sizes_come_with_simulated_quotes_and_never_with_recorded_ones(read: Wire) -> None:
    computed, recorded = quote(read, "AAPL"), quote(read, "BTC/USD")
    assert Decimal(computed["bid_size"]) > 0 and Decimal(computed["ask_size"]) > 0
    assert "recorded_at" in recorded and not {"bid_size", "ask_size"} & set(recorded)


def test_indicators_are_those_of_the_bars_history_gives(read: Wire) -> None:
    for _ in range(TRIES):
        history = read.result("get_history", {"symbol": "MSFT", "limit": 300})
        answer = read.result(
            "get_indicators",
            {"symbol": "MSFT", "indicators": ["SMA(200)", "BBANDS", "RSI", "VWAP(20)"], "last": 2},
        )
        if answer["as_of"] == history["as_of"]:
            break
    bars = history["bars"]
    close = [Decimal(bar["close"]) for bar in bars]
    values = answer["values"]
    four = Decimal("0.0001")
    assert list(values[-1]) == [
        "start",
        "SMA(200)",
        *(f"BBANDS(20,2).{line}" for line in ("upper", "middle", "lower")),
        "RSI(14)",
        "VWAP(20)",
    ]
    assert [row["start"] for row in values] == [bar["start"] for bar in bars[-2:]]
    assert [Decimal(row["SMA(200)"]) for row in values] == [
        (sum(close[-201:-1], Decimal(0)) / 200).quantize(four),
        (sum(close[-200:], Decimal(0)) / 200).quantize(four),
    ]
    newest = values[-1]
    deviation = statistics.pstdev(close[-20:])
    middle = statistics.mean(close[-20:])
    assert Decimal(newest["BBANDS(20,2).upper"]) == (middle + 2 * deviation).quantize(four)
    assert Decimal(newest["BBANDS(20,2).lower"]) == (middle - 2 * deviation).quantize(four)
    volume = [Decimal(bar["volume"]) for bar in bars[-20:]]
    typical = [(Decimal(bar["high"]) + Decimal(bar["low"]) + Decimal(bar["close"])) / 3 for bar in bars[-20:]]
    weighted = sum((a * b for a, b in zip(typical, volume, strict=True)), Decimal(0)) / sum(volume, Decimal(0))
    assert Decimal(newest["VWAP(20)"]) == weighted.quantize(four)
    assert answer["bars_used"] == 266


def test_a_period_gives_the_values_in_it(read: Wire) -> None:
    answer = read.result("get_indicators", {"symbol": "KO", "indicators": "EMA(5)", "bar": "1h", "period": "1d"})
    assert 23 <= len(answer["values"]) <= 25
    short = read.result("get_indicators", {"symbol": "KO", "indicators": ["EMA(5)"], "bar": "1h", "last": 3})
    assert short["values"] == answer["values"][-3:] or short["as_of"] != answer["as_of"]


def test_a_screen_returns_exactly_the_instruments_for_which_every_filter_holds(read: Wire) -> None:
    for _ in range(TRIES):
        every = read.result("screen_securities", {"filters": [], "limit": 50})
        answer = read.result(
            "screen_securities",
            {
                "filters": [
                    {"field": "change_percent", "op": "<", "value": "0.5"},
                    {"field": "price", "op": ">=", "value": 100},
                    {"field": "price", "op": ">", "value": "sma_50"},
                ],
                "asset_class": "stock",
                "sort": "price",
            },
        )
        if {row["as_of"] for row in answer["matches"]} <= {row["as_of"] for row in every["matches"]}:
            break
    averages = {}
    for row in every["matches"]:
        (newest,) = read.result("get_indicators", {"symbol": row["symbol"], "indicators": ["SMA(50)"]})["values"]
        averages[row["symbol"]] = newest["SMA(50)"]
    assert every["found"] == every["screened"] == len(every["matches"]) == 25
    expected = [
        row["symbol"]
        for row in sorted(every["matches"], key=lambda row: (Decimal(row["price"]), row["symbol"]))
        if row["asset_class"] == "stock"
        and Decimal(row["change_percent"]) < Decimal("0.5")
        and Decimal(row["price"]) >= 100
        and Decimal(row["price"]) > Decimal(averages[row["symbol"]])
    ]
    assert [row["symbol"] for row in answer["matches"]] == expected
    assert answer["found"] == len(expected)
    assert all(row["sma_50"] == averages[row["symbol"]] for row in answer["matches"])
    traded = [Decimal(row["traded_value"]) for row in every["matches"]]
    assert traded == sorted(traded, reverse=True)


def test_a_change_is_from_the_first_open_to_the_last_close_of_its_bars(read: Wire) -> None:
    for _ in range(TRIES):
        (change,) = read.result("get_change", {"symbols": ["DIS"], "period": "3m"})["changes"]
        history = read.result("get_history", {"symbol": "DIS", "period": "3m", "limit": 500})
        if change["as_of"] == history["as_of"]:
            break
    first, last = history["bars"][0], history["bars"][-1]
    assert (change["first"], change["last"], change["start"]) == (first["open"], last["close"], first["start"])
    percent = (Decimal(last["close"]) / Decimal(first["open"]) - 1) * 100
    assert Decimal(change["change_percent"]) == percent.quantize(Decimal("0.01"))


def test_movers_are_the_screen_sorted_by_change_or_by_value_traded(read: Wire) -> None:
    for _ in range(TRIES):
        every = read.result("screen_securities", {"filters": [], "limit": 50, "sort": "-change_percent"})["matches"]
        gainers = read.result("get_movers", {"kind": "gainers", "limit": 50})["matches"]
        losers = read.result("get_movers", {"kind": "losers", "limit": 3})["matches"]
        active = read.result("get_movers", {"kind": "most_active", "limit": 1, "asset_class": "crypto"})["matches"]
        if len({row["as_of"] for row in [*every, *gainers, *losers]}) == 1:
            break
    up = [row["symbol"] for row in every if Decimal(row["change_percent"]) > 0]
    down = sorted(
        (row for row in every if Decimal(row["change_percent"]) < 0),
        key=lambda row: (Decimal(row["change_percent"]), row["symbol"]),
    )
    assert [row["symbol"] for row in gainers] == up
    assert [row["symbol"] for row in losers] == [row["symbol"] for row in down[:3]]
    assert [row["symbol"] for row in active] == ["BTC/USD"]


def test_a_name_is_found_by_name_and_a_ticker_is_not(read: Wire) -> None:
    def found(query: str, **more: object) -> list[str]:
        rows = read.result("search_security", {"query": query, **more})["instruments"]
        return [row["symbol"] for row in rows]

    assert found("aapl") == ["AAPL"] and found("aapl", by_name=True) == []
    assert found("apple", by_name=True) == ["AAPL"]
    assert found("v", limit=1) == ["V"] and "V" not in found("v", by_name=True, limit=1)


def test_contract_details_say_the_steps_an_order_must_keep(read: Wire) -> None:
    stock = read.result("get_security", {"symbol": "aapl"})["instrument"]
    assert (stock["tick"], stock["lot"], stock["minimum"], stock["multiplier"]) == ("0.01", "1", "1", "1")
    assert (stock["currency"], stock["hours"]) == ("USD", "at all hours, every day")


def test_market_hours_tell_each_market(read: Wire) -> None:
    stocks, crypto = read.result("get_market_hours", {})["markets"]
    assert (stocks["market"], stocks["state"], crypto["market"], crypto["what"]) == (
        "stocks",
        "open",
        "crypto",
        "always_open",
    )
    (only,) = read.result("get_market_hours", {"market": "Crypto", "date": "2026-12-25"})["markets"]
    assert (only["day"], only["opens"]) == ("2026-12-25", "2026-12-25T00:00:00.000Z")


def test_a_currency_costs_one_of_itself(read: Wire) -> None:
    rate = read.result("get_exchange_rate", {"base": "usd", "quote": "USD"})
    assert (rate["base"], rate["quote"], rate["rate"]) == ("USD", "USD", "1")


FILTER = {"field": "price", "op": ">", "value": "1"}


@pytest.mark.parametrize(
    ("tool", "arguments", "code", "field"),
    [
        ("get_history", {"symbol": "AAPL", "outside_rth": True}, "invalid_argument", "outside_rth"),
        ("get_history", {"symbol": "AAPL", "outside_rth": "maybe"}, "invalid_argument", "outside_rth"),
        ("get_history", {"symbol": "AAPL", "adjust": "splits"}, "invalid_argument", "adjust"),
        ("get_history", {"symbol": "AAPL", "start": "2026-02-01", "end": "2026-01-01"}, "invalid_argument", "start"),
        ("get_indicators", {"symbol": "AAPL", "indicators": ["ADX"]}, "invalid_argument", "indicators"),
        ("get_indicators", {"symbol": "AAPL", "indicators": ["SMA(999)"]}, "invalid_argument", "indicators"),
        ("get_indicators", {"symbol": "AAPL", "indicators": ["VWAP"]}, "invalid_argument", "indicators"),
        ("get_indicators", {"symbol": "AAPL", "indicators": []}, "invalid_argument", "indicators"),
        ("get_indicators", {"symbol": "AAPL", "indicators": ["SMA"] * 11}, "invalid_argument", "indicators"),
        ("get_indicators", {"symbol": "AAPL", "indicators": ["SMA"], "last": 101}, "invalid_argument", "last"),
        ("screen_securities", {}, "missing_argument", "filters"),
        ("screen_securities", {"filters": "price > 1"}, "invalid_argument", "filters"),
        ("screen_securities", {"filters": [FILTER] * 11}, "invalid_argument", "filters"),
        ("screen_securities", {"filters": [{"field": "price"}]}, "invalid_argument", "filters"),
        ("screen_securities", {"filters": [FILTER | {"or": 1}]}, "invalid_argument", "filters"),
        ("screen_securities", {"filters": [FILTER | {"field": "password"}]}, "invalid_argument", "filters"),
        ("screen_securities", {"filters": [FILTER | {"field": ["price"]}]}, "invalid_argument", "filters"),
        ("screen_securities", {"filters": [FILTER | {"op": "=="}]}, "invalid_argument", "filters"),
        ("screen_securities", {"filters": [FILTER | {"value": "much"}]}, "invalid_argument", "filters"),
        ("screen_securities", {"filters": [], "sort": "--price"}, "invalid_argument", "sort"),
        ("screen_securities", {"filters": [], "sort": "name"}, "invalid_argument", "sort"),
        ("get_movers", {"kind": "sideways"}, "invalid_argument", "kind"),
        ("get_order_book", {"symbol": "AAPL", "depth": 21}, "invalid_argument", "depth"),
        ("get_order_book", {"symbol": "NOSUCH"}, "unknown_symbol", None),
        ("get_trades", {"symbol": "NOSUCH"}, "unknown_symbol", None),
        ("get_security", {"symbol": "NOSUCH"}, "unknown_symbol", None),
        ("get_market_hours", {"market": "forex"}, "invalid_argument", "market"),
        ("get_market_hours", {"date": "2026-02-30"}, "invalid_argument", "date"),
        ("get_exchange_rate", {"base": "BTC", "quote": "USD"}, "no_rate", None),
        ("get_exchange_rate", {"base": "EUR", "quote": "USD"}, "no_rate", None),
        ("get_exchange_rate", {"base": "dollar", "quote": "USD"}, "invalid_argument", "base"),
        ("get_executions", {"order_id": "ord_nobody"}, "unknown_order", "order_id"),
        ("get_transactions", {"types": ["bribe"]}, "invalid_argument", "types"),
        ("get_pnl", {"group_by": "year"}, "invalid_argument", "group_by"),
        ("get_portfolio_history", {"bar": "1m"}, "invalid_argument", "bar"),
    ],
)
def test_what_cannot_be_answered_is_refused_and_says_why(
    read: Wire, tool: str, arguments: dict[str, Any], code: str, field: str | None
) -> None:
    refused = read.refusal(tool, arguments)
    assert (refused["code"], refused.get("field")) == (code, field)
    assert refused["message"].endswith(".")
