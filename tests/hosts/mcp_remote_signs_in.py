"""mcp-remote completes OAuth: registration, sign-in, consent and a tool call. Run by ``make clients``."""

import asyncio
import re
from pathlib import Path

import httpx2
from mcp.client.session import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.catalogued import READERS
from tests.hosts import guide
from tests.hosts.conftest import Host
from tests.person import Person
from tests.serving import Server, until

_AUTHORIZE = re.compile(r"http://localhost:\d+/oauth/authorize\?\S+")


def consent_when_asked(server: Server, said: Path) -> None:
    def asked() -> str | None:
        found = _AUTHORIZE.search(said.read_text(errors="replace"))
        return found[0] if found else None

    address = until(asked, seconds=40, what=f"mcp-remote asks to sign in; it said {said.read_text()}")
    assert address is not None
    with Person(server.url, server.quickstart["username"], server.quickstart["password"]) as person:
        callback = person.consent(address, connection="Practice", scope="mcp:read")
    assert httpx2.get(callback, timeout=20).status_code == 200


def test_mcp_remote_registers_signs_in_and_calls_a_tool(server: Server, host: Host, tmp_path: Path) -> None:
    said = tmp_path / "mcp-remote.log"
    said.touch()
    started = guide.local_server(server, "mcp-remote", "oauth")
    command, *arguments = host.installed([started["command"], *started["args"]])
    parameters = StdioServerParameters(command=host.command(command), args=arguments, env=host.environment)

    async def run() -> None:
        with said.open("w") as log:
            person = asyncio.create_task(asyncio.to_thread(consent_when_asked, server, said))
            async with (
                stdio_client(parameters, errlog=log) as (read, write),
                ClientSession(read, write) as session,
            ):
                await session.initialize()
                await person
                tools = (await session.list_tools()).tools
                assert [tool.name for tool in tools] == READERS
                cash = await session.call_tool("get_cash", {})
                assert cash.structured_content is not None
                assert cash.structured_content["context"]["connection"] == "Practice"

    asyncio.run(asyncio.wait_for(run(), 90))
    rows = server.query(
        "SELECT source, tool, outcome FROM audit_call WHERE app_label = 'MCP CLI Proxy' OR source = 'oauth'"
    )
    assert ("oauth", "get_cash", "ok") in rows
