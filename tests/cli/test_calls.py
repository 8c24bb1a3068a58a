"""``tradelatch call`` and ``tradelatch tools``: one JSON object a line, exit codes, and no key in any output."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from tests import serving
from tests.cli.command import Ran, run
from tests.cli.upstream import Asked, upstream
from tests.serving import Server


def call(server: Server, *arguments: str, key: str = "paper_key_trade", given: str = "") -> Ran:
    return run("call", "--url", server.url, *arguments, given=given, TRADELATCH_API_KEY=server.quickstart[key])


def test_a_list_goes_out_item_by_item_with_its_context_beside_it(server: Server) -> None:
    ran = call(server, "get_quote", "--json", '{"symbols": ["AAPL", "BTC/USD"]}')
    assert ran.code == 0
    assert [line["symbol"] for line in ran.lines] == ["AAPL", "BTC/USD"]
    assert all(isinstance(line["last"], str) and Decimal(line["last"]) > 0 for line in ran.lines)
    assert json.loads(ran.err)["context"]["environment"] == "paper"


def test_an_empty_list_is_no_line(server: Server) -> None:
    ran = call(server, "get_orders", "--json", '{"symbol": "TSLA"}')
    assert (ran.code, ran.out) == (0, "")


def test_the_whole_answer_fits_on_one_line(server: Server) -> None:
    (whole,) = call(server, "get_quote", "--json", '{"symbols": ["AAPL", "SPY"]}', "--whole").lines
    assert [quote["symbol"] for quote in whole["quotes"]] == ["AAPL", "SPY"]
    assert whole["context"]["connection"] == "Practice"


def test_an_order_is_prepared_and_confirmed_from_a_script(server: Server, tmp_path: Path) -> None:
    (tmp_path / "order.json").write_text('{"symbol": "BTC/USD", "side": "BUY", "quantity": 0.1}')
    (prepared,) = call(server, "place_order", "--json", f"@{tmp_path / 'order.json'}").lines
    assert prepared["status"] == "needs_confirmation"
    confirmation = json.dumps({"confirmation_id": prepared["confirmation_id"]})
    (done,) = call(server, "confirm_trade", "--json", "-", given=confirmation).lines
    assert (done["status"], done["order"]["quantity"]) == ("filled", "0.1")
    again = call(server, "confirm_trade", "--json", confirmation)
    assert (again.code, again.out, again.error["code"]) == (1, "", "confirmation_used")


@pytest.mark.parametrize(
    ("arguments", "code", "field"),
    [
        (("get_quote", "--json", '{"symbols": ["NOPE"]}'), "unknown_symbol", None),
        (("get_quote",), "missing_argument", "symbols"),
        (("get_quote", "--json", '{"symbols": ["SPY"], "x": 1}'), "unknown_argument", "x"),
        (("no_such_tool",), "unknown_tool", None),
    ],
)
def test_a_refusal_is_one_json_error_and_exit_code_1(
    server: Server, arguments: tuple[str, ...], code: str, field: str | None
) -> None:
    ran = call(server, *arguments)
    assert (ran.code, ran.out, ran.error["code"]) == (1, "", code)
    assert ran.error["message"] and ran.error.get("field") == field


def test_a_reader_is_refused_an_order(server: Server) -> None:
    order = '{"symbol": "SPY", "side": "BUY", "quantity": "1"}'
    ran = call(server, "place_order", "--json", order, key="paper_key_read")
    assert (ran.code, ran.error["code"]) == (1, "insufficient_scope")


def test_no_answer_is_exit_code_3(server: Server) -> None:
    wrong = run("call", "get_cash", "--url", server.url, TRADELATCH_API_KEY="tl_paper_wrong")
    assert (wrong.code, wrong.out, wrong.error["code"]) == (3, "", "unauthenticated")
    nobody = run("call", "get_cash", PORT=str(serving.free_port()), TRADELATCH_API_KEY="tl_paper_any")
    assert (nobody.code, nobody.out, nobody.error["code"]) == (3, "", "server_unreachable")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("{", "not JSON"),
        ("[1]", "must be a JSON object"),
        ("[" * 100_000, "not JSON"),
        ('{"quantity": NaN}', "NaN is not JSON"),
        ('{"quantity": 0.10000000000000000001}', "more digits than a JSON number keeps"),
        ('{"quantity": 1e999}', "more digits than a JSON number keeps"),
        ('{"quantity": "1", "quantity": "100"}', "given twice"),
        (" " * 300_000, "arguments are too long"),
    ],
)
def test_arguments_that_cannot_be_sent_as_they_are_never_leave(given: str, words: str) -> None:
    with upstream(lambda asked: asked.drop()) as up:
        ran = run("call", "place_order", "--url", up.url, "--json", "-", given=given, TRADELATCH_API_KEY="tl_paper_any")
        assert (ran.code, ran.out) == (2, "")
        assert words in ran.err
        assert up.asked.empty()


def test_arguments_by_name_and_value_are_answered_with_the_form_they_have() -> None:
    ran = run("call", "get_quote", "symbols=AAPL")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.endswith(
        'symbols=AAPL; a tool\'s arguments are one JSON object, such as --json \'{"symbols": ["AAPL"]}\'\n'
    )


def test_all_follows_the_pages_to_the_last() -> None:
    pages = {None: (["a", "b"], "p2"), "p2": (["c"], "p3"), "p3": (["d"], None)}

    def act(asked: Asked) -> None:
        items, following = pages[asked.message["params"]["arguments"].get("cursor")]
        content: dict[str, object] = {"orders": [{"id": item} for item in items], "context": {}}
        content |= {"next_cursor": following} if following else {}
        asked.result(content=[], structuredContent=content, resultType="complete")

    with upstream(act) as up:
        ran = run("call", "get_orders", "--url", up.url, "--all", "--json", '{"limit": 2}', TRADELATCH_API_KEY="k")
        first = run("call", "get_orders", "--url", up.url, "--json", '{"limit": 2}', TRADELATCH_API_KEY="k")
    assert [line["id"] for line in ran.lines] == ["a", "b", "c", "d"]
    assert [line["id"] for line in first.lines] == ["a", "b"]
    assert json.loads(first.err)["next_cursor"] == "p2"


def test_a_cursor_that_comes_back_ends_it() -> None:
    def act(asked: Asked) -> None:
        asked.result(content=[], structuredContent={"orders": [{"id": "a"}], "next_cursor": "same"})

    with upstream(act) as up:
        ran = run("call", "get_orders", "--url", up.url, "--all", TRADELATCH_API_KEY="k")
    assert (ran.code, len(ran.lines)) == (0, 2)


def test_the_tools_of_a_key_are_listed(server: Server) -> None:
    listed = run("tools", "--url", server.url, TRADELATCH_API_KEY=server.quickstart["paper_key_read"])
    assert listed.code == 0
    assert {"get_quote", "get_cash"} <= {line["name"] for line in listed.lines}
    assert all(set(line) == {"name", "about"} for line in listed.lines)
    whole = run("tools", "--whole", "--url", server.url, TRADELATCH_API_KEY=server.quickstart["paper_key_trade"])
    assert "inputSchema" in next(line for line in whole.lines if line["name"] == "place_order")


def test_the_command_makes_an_instance_and_says_how_to_get_in(tmp_path: Path) -> None:
    made = run("quickstart", "--json", TRADELATCH_HOME=str(tmp_path / "home"), PORT="8123")
    assert made.code == 0, made.err
    # By whichever name this computer knows.
    assert made.lines[0]["mcp_url"] in ("http://localhost:8123/mcp", "http://tradelatch.localhost:8123/mcp")
    assert made.lines[0]["paper_key_trade"].startswith("tl_paper_")
    bad = run("run", TRADELATCH_HOME=str(tmp_path / "home"), PORT="none")
    assert bad.code == 1 and bad.err == "tradelatch: PORT must be a whole number of at least 1, not 'none'.\n"
