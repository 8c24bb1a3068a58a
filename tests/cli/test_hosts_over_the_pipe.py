"""The SDK's own stdio client starts ``tradelatch mcp`` and works with a whole server behind it, in both eras."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.shared.exceptions import MCPError

from tests import serving
from tests.cli.command import COMMAND, REPOSITORY, environment
from tests.end_to_end.sdk_steps import ERAS, cash, finish, held, told
from tests.serving import Server

both_eras = pytest.mark.parametrize("era", ERAS.values(), ids=ERAS.keys())


def over_the_pipe(url: str, key: str, era: str, log: Path, use: Callable[[Client], Awaitable[None]]) -> None:
    """Whatever happens, the key is not in the log."""
    parameters = StdioServerParameters(
        command=COMMAND[0],
        args=[*COMMAND[1:], "mcp", "--url", url],
        env=environment(TRADELATCH_API_KEY=key),
        cwd=REPOSITORY,
    )

    async def run() -> None:
        with log.open("w") as errlog:
            async with Client(stdio_client(parameters, errlog=errlog), mode=era) as client:
                await use(client)

    try:
        finish(run())
    except ExceptionGroup as group:  # the SDK's task groups, each with the one error
        raise _only(group) from group
    finally:
        assert key not in log.read_text()


def _only(group: ExceptionGroup[Exception]) -> Exception:
    (error,) = group.exceptions
    return _only(error) if isinstance(error, ExceptionGroup) else error


@both_eras
def test_a_host_lists_the_tools_of_its_key_and_buys(server: Server, era: str, tmp_path: Path) -> None:
    versions: list[str] = []

    async def buy(client: Client) -> None:
        versions.append(client.protocol_version)
        assert {"place_order", "confirm_trade"} <= {tool.name for tool in (await client.list_tools()).tools}
        cash_before, held_before = await cash(client), await held(client, "SPY")
        prepared = await told(client, "place_order", symbol="SPY", side="BUY", quantity="1")
        done = await told(client, "confirm_trade", confirmation_id=prepared["confirmation_id"])
        assert done["status"] == "filled"
        assert await held(client, "SPY") == held_before + 1
        assert await cash(client) < cash_before

    over_the_pipe(server.url, server.quickstart["paper_key_trade"], era, tmp_path / "log", buy)
    assert versions == [next(version for version, mode in ERAS.items() if mode == era)]


@both_eras
def test_a_reader_over_the_pipe_cannot_trade(server: Server, era: str, tmp_path: Path) -> None:
    async def look(client: Client) -> None:
        assert "place_order" not in {tool.name for tool in (await client.list_tools()).tools}
        refused = await client.call_tool("place_order", {"symbol": "SPY", "side": "BUY", "quantity": "1"})
        assert refused.is_error and refused.structured_content is not None
        assert refused.structured_content["error"]["code"] == "insufficient_scope"

    over_the_pipe(server.mcp_url, server.quickstart["paper_key_read"], era, tmp_path / "log", look)


@both_eras
def test_fifty_calls_side_by_side_each_get_their_own_answer(server: Server, era: str, tmp_path: Path) -> None:
    symbols = ["AAPL", "SPY", "BTC/USD", "MSFT", "TSLA"] * 10

    async def ask(client: Client) -> None:
        answers = await asyncio.gather(*(told(client, "get_quote", symbols=[symbol]) for symbol in symbols))
        assert [answer["quotes"][0]["symbol"] for answer in answers] == symbols

    over_the_pipe(server.url, server.quickstart["paper_key_read"], era, tmp_path / "log", ask)


@both_eras
def test_a_key_that_is_not_accepted_says_what_to_do(server: Server, era: str, tmp_path: Path) -> None:
    async def nothing(client: Client) -> None:
        raise AssertionError("it must not connect")

    with pytest.raises(MCPError, match="create one in the console under API keys") as refused:
        over_the_pipe(server.url, "tl_paper_wrong", era, tmp_path / "log", nothing)
    assert refused.value.error.data["code"] == "unauthenticated"


@both_eras
def test_a_host_is_told_that_the_instance_does_not_run(era: str, tmp_path: Path) -> None:
    port = serving.free_port()

    async def nothing(client: Client) -> None:
        raise AssertionError("it must not connect")

    with pytest.raises(MCPError, match=f"Tradelatch does not answer at http://localhost:{port}/mcp"):
        over_the_pipe(f"http://localhost:{port}", "tl_paper_any", era, tmp_path / "log", nothing)


def test_a_host_gets_on_after_the_server_was_started_again(tmp_path: Path) -> None:
    with serving.serve(tmp_path / "home") as server:

        async def stay(client: Client) -> None:
            before = await cash(client)
            await asyncio.to_thread(server.kill)
            with pytest.raises(MCPError, match="Tradelatch does not answer"):
                await client.call_tool("get_cash", {})
            await asyncio.to_thread(server.start)
            assert await cash(client) == before

        over_the_pipe(server.url, server.quickstart["paper_key_read"], "auto", tmp_path / "log", stay)
