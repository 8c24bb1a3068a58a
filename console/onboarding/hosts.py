"""Every host and how to connect it: the one table that a page, Home, what a new key shows and docs/ render.

What can be run here is run from these very words by ``make clients``: a guide that is wrong fails there.
"""

import base64
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from django.urls import reverse

from console.onboarding.guide import (
    CLIENT_ID,
    KEY,
    KEY_VARIABLE,
    NAME,
    Guide,
    GuideStep,
    Place,
    Reachability,
    Runs,
    SnippetUse,
    Way,
)

_ASK = Path(__file__).parent / "desktop" / "ask_at_screen.py.txt"
_SIGN_IN = "A page opens here, where you choose the connection and whether the app can trade."


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _oauth(*steps: GuideStep) -> Way:
    return Way(slug="oauth", title="Sign in", steps=steps)


def _key(*steps: GuideStep) -> Way:
    return Way(slug="key", title="API key", steps=steps)


def _unattended(*steps: GuideStep) -> Way:
    """For a script or a schedule: what the host needs to let tools run while nobody can be asked."""
    nobody = GuideStep(
        text="Nobody reads an order before it is confirmed this way. Try it on paper; with real money, let every order "
        "wait for your approval."
    )
    return Way(slug="unattended", title="Unattended", steps=(*steps, nobody))


_MINT = GuideStep(text=f"Create a key for it and put it in place of `{KEY}` below.", mints=True)
_QUESTION = "Which account do you see, and is it paper or live?"
_RAN = "Our tests run these exact commands with version {}."
_SCRIPTED = "Our tests run its unattended commands with version {} and a scripted model; signing in is not tested."
_NOT_RUN = "Not tested here: this follows the vendor's documentation and may have changed since."
_REPLAYED = "Not tested here: our tests replay the requests it is reported to send."


def _registering(place: Place, name: str, redirects: Iterable[str]) -> tuple[GuideStep, ...]:
    """First of all, where apps may not register themselves."""
    if not place.needs_client:
        return ()
    addresses = "\n".join(redirects)
    if not addresses:
        return (
            GuideStep(
                text=f"Apps cannot register themselves here. {name} shows a redirect address while you add it: "
                "register a client with that address, then paste the client id there.",
                registers=True,
            ),
        )
    if place.client_id != CLIENT_ID:
        return (
            GuideStep(
                text="Apps cannot register themselves here; your registered client is filled in. It needs these "
                "redirect addresses.",
                copy=addresses,
            ),
        )
    return (
        GuideStep(
            text="Apps cannot register themselves here. Register a client with these redirect addresses, and put its "
            f"id in place of `{CLIENT_ID}`.",
            copy=addresses,
            registers=True,
        ),
    )


def cursor_link(config: dict[str, Any]) -> str:
    """Cursor's install link: the server's part of mcp.json as base64, every character of it escaped for a query."""
    encoded = base64.b64encode(json.dumps(config, separators=(",", ":")).encode()).decode()
    return "cursor://anysphere.cursor-deeplink/mcp/install?" + urlencode({"name": NAME, "config": encoded})


def vscode_link(config: dict[str, Any]) -> str:
    """VS Code's install link: the server with its name as JSON, the way encodeURIComponent escapes it."""
    text = json.dumps({"name": NAME} | config, separators=(",", ":"))
    # It decodes the query twice: what stands there as a percent sign has to survive the first time.
    return "vscode:mcp/install?" + quote(text.replace("%", "%25"), safe="-_.!~*'()")


def python_program(place: Place) -> str:
    return f"""import asyncio
import os

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


async def main():
    key = os.environ["{KEY_VARIABLE}"]
    async with httpx2.AsyncClient(headers={{"Authorization": f"Bearer {{key}}"}}) as http:
        async with Client(streamable_http_client("{place.url}", http_client=http)) as client:
            print((await client.call_tool("get_accounts", {{}})).structured_content)


asyncio.run(main())"""


def table(place: Place) -> tuple[Guide, ...]:
    """Every guide, filled in."""
    return (
        _claude_code(place),
        _codex(place),
        _cursor(place),
        _vscode(place),
        _windsurf(place),
        _gemini(place),
        _qwen(place),
        _opencode(place),
        _copilot_cli(place),
        _desktop(place),
        _claude(place),
        _chatgpt(place),
        _copilot_studio(place),
        _perplexity(place),
        _python(place),
        _mcp_remote(place),
        _inspector(place),
    )


def _claude_code(place: Place) -> Guide:
    redirects = ("http://localhost/callback", "http://127.0.0.1/callback")
    add = f"claude mcp add --transport http {NAME} {place.url}"
    client = f" --client-id {place.client_id}" if place.needs_client else ""
    return Guide(
        slug="claude-code",
        name="Claude Code",
        runs=Runs.HERE,
        brief=f"`{add}`, then `/mcp` to sign in",
        seen=_RAN.format("2.1.329"),
        redirects=redirects,
        ways=(
            _oauth(
                *_registering(place, "Claude Code", redirects),
                GuideStep(text="Run this once in a terminal.", copy=add + client, use=SnippetUse.SHELL),
                GuideStep(
                    text=f"Sign in, here or with `/mcp` inside Claude Code. {_SIGN_IN}",
                    copy=f"claude mcp login {NAME}",
                    use=SnippetUse.SHELL,
                ),
                GuideStep(text="It should say Connected.", copy=f"claude mcp get {NAME}", use=SnippetUse.SHELL),
            ),
            _questions_at_the_screen(),
            _key(
                _MINT,
                GuideStep(
                    text="Run this once in a terminal.",
                    copy=f'{add} --header "Authorization: {place.bearer}"',
                    use=SnippetUse.SHELL,
                ),
                GuideStep(text="It should say Connected.", copy=f"claude mcp get {NAME}", use=SnippetUse.SHELL),
            ),
            _unattended(
                _MINT,
                GuideStep(
                    text="Run this once in a terminal.",
                    copy=f'{add} --header "Authorization: {place.bearer}"',
                    use=SnippetUse.SHELL,
                ),
                GuideStep(
                    text="`claude -p` runs the tools that `--allowedTools` names and no others. This names all of "
                    f"them; `mcp__{NAME}__get_quote` names one.",
                    copy=f'claude -p "{_QUESTION}" --allowedTools "mcp__{NAME}__*"',
                    use=SnippetUse.SHELL,
                ),
            ),
        ),
        notes=("Add `--scope user` to have it in every project, not only in this folder.",),
    )


def _questions_at_the_screen() -> Way:
    """For ``claude -p``, which answers every question itself, while somebody sits at the same computer."""
    hook = {"type": "command", "command": f"python3 ~/.claude/{_ASK.stem}", "timeout": 110}
    return Way(
        slug="screen",
        title="Questions of claude -p",
        steps=(
            GuideStep(
                text="`claude -p` answers our question about an order by itself, and that counts as nobody's answer: "
                "on paper it then confirms in two steps, with real money the order waits under Approvals. To be asked "
                f"in a window of your screen instead, save this as `~/.claude/{_ASK.stem}`. It takes macOS, or zenity.",
                copy=_ASK.read_text(),
                use=SnippetUse.VALUE,
            ),
            GuideStep(
                text="Put this into `~/.claude/settings.json`.",
                copy=_json({"hooks": {"Elicitation": [{"matcher": NAME, "hooks": [hook]}]}}),
                use=SnippetUse.VALUE,
            ),
            GuideStep(
                text="A hook that says yes by itself sends nothing: an answer within a second counts as nobody's. "
                "Where nobody sits at the screen, choose Do not ask there on the app's page under Connected apps."
            ),
        ),
    )


def _codex(place: Place) -> Guide:
    redirects = ("http://127.0.0.1/callback",)
    add = f"codex mcp add {NAME} --url {place.url}"
    client = f" --oauth-client-id {place.client_id}" if place.needs_client else ""
    config = f'[mcp_servers.{NAME}]\nurl = "{place.url}"\nbearer_token_env_var = "{KEY_VARIABLE}"'
    approved = "\n".join(
        f'\n[mcp_servers.{NAME}.tools.{tool}]\napproval_mode = "approve"'
        for tool in ("halt_trading", "cancel_order", "place_order", "confirm_trade")
    )
    return Guide(
        slug="codex",
        name="Codex",
        runs=Runs.HERE,
        brief=f"`{add}`; it signs in immediately",
        seen="Our tests run these very commands against version 0.169.0, up to the sign-in: it makes no call "
        "without an account.",
        redirects=redirects,
        ways=(
            _oauth(
                *_registering(place, "Codex", redirects),
                GuideStep(
                    text=f"Run this once in a terminal; it opens your browser. {_SIGN_IN}",
                    copy=add + client,
                    use=SnippetUse.SHELL,
                ),
                GuideStep(text="It should be listed with OAuth.", copy="codex mcp list", use=SnippetUse.SHELL),
            ),
            _key(
                GuideStep(text="Create a key for it.", mints=True),
                GuideStep(text="Put this into `~/.codex/config.toml`.", copy=config, use=SnippetUse.FILE),
                GuideStep(
                    text="Codex reads the key from the environment: set it where you start Codex.",
                    copy=f"export {KEY_VARIABLE}={place.key}",
                    use=SnippetUse.SHELL,
                ),
                GuideStep(text="It should be listed with Bearer token.", copy="codex mcp list", use=SnippetUse.SHELL),
            ),
            _unattended(
                GuideStep(text="Create a key for it.", mints=True),
                GuideStep(
                    text="Put this into `~/.codex/config.toml`. `codex exec` runs tools that only read, plus the "
                    "tools named here: stopping, cancelling, preparing an order and confirming it. Leave out what it "
                    "should not do. Another tool that changes something, such as `create_alert`, needs two lines like "
                    "these.",
                    copy=f"{config}\n{approved}",
                    use=SnippetUse.FILE,
                ),
                GuideStep(
                    text="Codex reads the key from the environment: set it where you start Codex.",
                    copy=f"export {KEY_VARIABLE}={place.key}",
                    use=SnippetUse.SHELL,
                ),
                GuideStep(
                    text="Outside a Git repository it needs `--skip-git-repo-check`.",
                    copy=f'codex exec --skip-git-repo-check "{_QUESTION}"',
                    use=SnippetUse.SHELL,
                ),
            ),
        ),
        notes=(
            "Codex 0.143 and 0.144 stop after the sign-in unless this server runs with `TRADELATCH_ADVERTISE_ISS=0`.",
        ),
    )


def _cursor(place: Place) -> Guide:
    redirects = ("cursor://anysphere.cursor-mcp/oauth/callback",)
    plain: dict[str, Any] = {"url": place.url}
    if place.needs_client:
        plain["auth"] = {"CLIENT_ID": place.client_id}
    keyed = {"url": place.url, "headers": {"Authorization": place.bearer}}
    return Guide(
        slug="cursor",
        name="Cursor",
        runs=Runs.HERE,
        brief="add it with the link of its guide, or put the address into `~/.cursor/mcp.json`",
        seen=_REPLAYED,
        redirects=redirects,
        ways=(
            _oauth(
                *_registering(place, "Cursor", redirects),
                GuideStep(
                    text="On a computer with Cursor, add it with one click, or put the text below into "
                    "`~/.cursor/mcp.json`.",
                    copy=_json({"mcpServers": {NAME: plain}}),
                    use=SnippetUse.FILE,
                    link=cursor_link(plain),
                    link_label="Add to Cursor",
                ),
                GuideStep(text=f"In Cursor's settings under MCP, press Connect next to {NAME}. {_SIGN_IN}"),
            ),
            _key(
                _MINT,
                GuideStep(
                    text="Put this into `~/.cursor/mcp.json`.",
                    copy=_json({"mcpServers": {NAME: keyed}}),
                    use=SnippetUse.FILE,
                ),
            ),
        ),
    )


def _vscode(place: Place) -> Guide:
    redirects = ("http://127.0.0.1:33418/", "https://vscode.dev/redirect")
    plain = {"type": "http", "url": place.url}
    prompt = {"type": "promptString", "id": f"{NAME}-key", "description": "Tradelatch API key", "password": True}
    keyed = plain | {"headers": {"Authorization": f"Bearer ${{input:{NAME}-key}}"}}
    asks = {"inputs": [prompt], "servers": {NAME: keyed}}
    asked = " It asks for a client id: paste yours." if place.needs_client else ""
    return Guide(
        slug="vscode",
        name="VS Code",
        runs=Runs.HERE,
        brief="add it with the link of its guide, or put the address into `.vscode/mcp.json`",
        seen=_REPLAYED,
        redirects=redirects,
        ways=(
            _oauth(
                *_registering(place, "VS Code", redirects),
                *([GuideStep(text="The client id to paste.", copy=place.client_id)] if place.needs_client else []),
                GuideStep(
                    text="On a computer with VS Code, add it with one click, or put the text below into "
                    "`.vscode/mcp.json` of a folder.",
                    copy=_json({"servers": {NAME: plain}}),
                    use=SnippetUse.FILE,
                    link=vscode_link(plain),
                    link_label="Add to VS Code",
                ),
                GuideStep(text=f"Press Start above the server's name and allow the sign-in.{asked} {_SIGN_IN}"),
            ),
            _key(
                GuideStep(
                    text="Create a key for it. VS Code asks for it when the server starts and keeps it.", mints=True
                ),
                GuideStep(
                    text="On a computer with VS Code, add it with one click, or put the text below into "
                    "`.vscode/mcp.json` of a folder. The key is in neither.",
                    copy=_json(asks),
                    use=SnippetUse.FILE,
                    link=vscode_link(keyed | {"inputs": [prompt]}),
                    link_label="Add to VS Code",
                ),
            ),
        ),
        notes=("Copilot's agent mode uses the tools; choose them with the tools button of the chat.",),
    )


def _windsurf(place: Place) -> Guide:
    file = "`~/.codeium/windsurf/mcp_config.json`"
    keyed = {"serverUrl": place.url, "headers": {"Authorization": f"Bearer ${{env:{KEY_VARIABLE}}}"}}
    signing = _oauth(
        GuideStep(
            text=f"Put this into {file}.",
            copy=_json({"mcpServers": {NAME: {"serverUrl": place.url}}}),
            use=SnippetUse.FILE,
        ),
        GuideStep(text=f"Press Refresh in the MCP panel of Cascade and sign in when it asks. {_SIGN_IN}"),
    )
    keying = _key(
        GuideStep(text="Create a key for it.", mints=True),
        GuideStep(text=f"Put this into {file}.", copy=_json({"mcpServers": {NAME: keyed}}), use=SnippetUse.FILE),
        GuideStep(
            text="Windsurf reads the key from the environment: set it where you start Windsurf.",
            copy=f"export {KEY_VARIABLE}={place.key}",
            use=SnippetUse.SHELL,
        ),
    )
    return Guide(
        slug="windsurf",
        name="Windsurf",
        runs=Runs.HERE,
        brief="put the address into `~/.codeium/windsurf/mcp_config.json` as `serverUrl`",
        seen=_NOT_RUN,
        # Its documentation names no field for a client id.
        ways=(keying,) if place.needs_client else (signing, keying),
        notes=(
            ("Apps cannot register themselves on this instance, and Windsurf has no field for a client id: use a key.",)
            if place.needs_client
            else ()
        ),
    )


def _gemini(place: Place) -> Guide:
    redirects = ("http://localhost/oauth/callback",)
    add = f"gemini mcp add --scope user --transport http {NAME} {place.url}"
    plain: dict[str, Any] = {"httpUrl": place.url}
    if place.needs_client:
        plain["oauth"] = {"enabled": True, "clientId": place.client_id}
        first = GuideStep(
            text="Put this into `~/.gemini/settings.json`.",
            copy=_json({"mcpServers": {NAME: plain}}),
            use=SnippetUse.FILE,
        )
    else:
        first = GuideStep(
            text="Run this once in a terminal. It writes `httpUrl` into `~/.gemini/settings.json`.",
            copy=add,
            use=SnippetUse.SHELL,
        )
    keyed = plain | {"headers": {"Authorization": f"Bearer ${KEY_VARIABLE}"}}
    keyed.pop("oauth", None)
    return Guide(
        slug="gemini-cli",
        name="Gemini CLI",
        runs=Runs.HERE,
        brief=f"`{add}`, then `/mcp auth {NAME}`",
        seen=_SCRIPTED.format("0.61.0"),
        redirects=redirects,
        ways=(
            _oauth(
                *_registering(place, "Gemini CLI", redirects),
                first,
                GuideStep(text=f"Type this inside Gemini CLI. {_SIGN_IN}", copy=f"/mcp auth {NAME}"),
            ),
            _key(
                GuideStep(text="Create a key for it.", mints=True),
                GuideStep(
                    text="Put this into `~/.gemini/settings.json`.",
                    copy=_json({"mcpServers": {NAME: keyed}}),
                    use=SnippetUse.FILE,
                ),
                GuideStep(
                    text="Gemini CLI reads the key from the environment: set it where you start it.",
                    copy=f"export {KEY_VARIABLE}={place.key}",
                    use=SnippetUse.SHELL,
                ),
            ),
            _unattended(
                _MINT,
                GuideStep(
                    text="Run this once in a terminal. Without `--trust`, `gemini -p` shows its model none of the "
                    "tools.",
                    copy=f'{add} --trust --header "Authorization: {place.bearer}"',
                    use=SnippetUse.SHELL,
                ),
                GuideStep(
                    text="`--skip-trust` trusts the folder for this run; in an untrusted folder every server is off.",
                    copy=f'gemini --skip-trust -p "{_QUESTION}"',
                    use=SnippetUse.SHELL,
                ),
            ),
        ),
        notes=(
            "Gemini CLI switches servers off in folders it does not trust; it asks when it starts.",
            "In its settings `url` means the older SSE transport; use `httpUrl`.",
        ),
    )


def _qwen(place: Place) -> Guide:
    redirects = ("http://localhost:7777/oauth/callback",)
    add = f"qwen mcp add --transport http {NAME} {place.url}"
    client = f" --oauth-client-id {place.client_id}" if place.needs_client else ""
    header = f' --header "Authorization: {place.bearer}"'
    return Guide(
        slug="qwen-code",
        name="Qwen Code",
        runs=Runs.HERE,
        brief=f"`{add}`, then `/mcp` to sign in",
        seen=_SCRIPTED.format("0.24.4"),
        redirects=redirects,
        ways=(
            _oauth(
                *_registering(place, "Qwen Code", redirects),
                GuideStep(text="Run this once in a terminal.", copy=add + client, use=SnippetUse.SHELL),
                GuideStep(text=f"Type this inside Qwen Code, and choose Authenticate. {_SIGN_IN}", copy="/mcp"),
            ),
            _key(
                _MINT,
                GuideStep(text="Run this once in a terminal.", copy=add + header, use=SnippetUse.SHELL),
                GuideStep(text="It should say Connected.", copy="qwen mcp list", use=SnippetUse.SHELL),
            ),
            _unattended(
                _MINT,
                GuideStep(
                    text="Run this once in a terminal. Without `--trust`, `qwen -p` runs none of the tools.",
                    copy=f"{add} --trust{header}",
                    use=SnippetUse.SHELL,
                ),
                GuideStep(text="Run it.", copy=f'qwen -p "{_QUESTION}"', use=SnippetUse.SHELL),
            ),
        ),
        notes=("Add `--scope project` to have it only in this folder.",),
    )


def _opencode(place: Place) -> Guide:
    redirects = ("http://127.0.0.1:19876/mcp/oauth/callback",)
    add = f"opencode mcp add {NAME} --url {place.url}"
    named: dict[str, Any] = {"type": "remote", "url": place.url, "oauth": {"clientId": place.client_id}}
    first = (
        GuideStep(
            text="Put this into `~/.config/opencode/opencode.json`.",
            copy=_json({"mcp": {NAME: named}}),
            use=SnippetUse.FILE,
        )
        if place.needs_client
        else GuideStep(text="Run this once in a terminal.", copy=add, use=SnippetUse.SHELL)
    )
    keyed = f'{add} --header "Authorization={place.bearer}"'
    return Guide(
        slug="opencode",
        name="opencode",
        runs=Runs.HERE,
        brief=f"`{add}`, then `opencode mcp auth {NAME}`",
        seen=_RAN.format("1.18.33") + " The unattended ones have a scripted model.",
        redirects=redirects,
        ways=(
            _oauth(
                *_registering(place, "opencode", redirects),
                first,
                GuideStep(text=f"Sign in. {_SIGN_IN}", copy=f"opencode mcp auth {NAME}", use=SnippetUse.SHELL),
            ),
            _key(
                _MINT,
                GuideStep(text="Run this once in a terminal.", copy=keyed, use=SnippetUse.SHELL),
                GuideStep(text="It should say connected.", copy="opencode mcp list", use=SnippetUse.SHELL),
            ),
            _unattended(
                _MINT,
                GuideStep(text="Run this once in a terminal.", copy=keyed, use=SnippetUse.SHELL),
                GuideStep(
                    text="It runs every tool without asking anybody.",
                    copy=f'opencode run "{_QUESTION}"',
                    use=SnippetUse.SHELL,
                ),
            ),
        ),
        notes=(
            "It asks nobody before it runs a tool: give it a key that reads, or let orders wait for your approval.",
        ),
    )


def _copilot_cli(place: Place) -> Guide:
    add = f"copilot mcp add --transport http {NAME} {place.url}"
    keyed = f'copilot mcp add --transport http --header "Authorization: {place.bearer}" {NAME} {place.url}'
    signing = _oauth(
        GuideStep(
            text="Run this once in a terminal. It writes the server, with all its tools, into "
            "`~/.copilot/mcp-config.json`.",
            copy=add,
            use=SnippetUse.SHELL,
        ),
        GuideStep(text=f"Start `copilot`; it opens your browser. {_SIGN_IN}"),
    )
    keying = _key(
        _MINT,
        GuideStep(text="Run this once in a terminal.", copy=keyed, use=SnippetUse.SHELL),
        GuideStep(text="It should be listed.", copy=f"copilot mcp get {NAME}", use=SnippetUse.SHELL),
    )
    unattended = _unattended(
        _MINT,
        GuideStep(text="Run this once in a terminal.", copy=keyed, use=SnippetUse.SHELL),
        GuideStep(
            text=f"`copilot -p` runs tools that only read, and others where allowed. `{NAME}` allows all of this "
            f"server's and no other; `{NAME}(place_order)` allows one.",
            copy=f'copilot -p "{_QUESTION}" --allow-tool "{NAME}"',
            use=SnippetUse.SHELL,
        ),
    )
    return Guide(
        slug="copilot-cli",
        name="GitHub Copilot CLI",
        runs=Runs.HERE,
        brief=f"`{add}`; it signs in when it starts",
        seen=_SCRIPTED.format("1.0.102"),
        ways=(keying, unattended) if place.needs_client else (signing, keying, unattended),
        notes=('A server that you write into its file by hand also needs `"tools": ["*"]`.',),
    )


def _desktop(place: Place) -> Guide:
    command = "/path/to/.venv/bin/tradelatch"
    args = ["mcp", "--url", place.url]
    if not place.is_https and place.reach is not Reachability.LOOPBACK:
        args.append("--allow-http")

    def config(started: dict[str, Any]) -> str:
        return _json({"mcpServers": {NAME: {"command": command} | started}})

    where = (
        "Put this into the host's configuration, with the full path of the command that `make run` installed; Claude "
        "Desktop's is `claude_desktop_config.json`, under Settings, Developer, Edit Config."
    )
    again = GuideStep(text="Quit the host and start it again.")
    return Guide(
        slug="stdio",
        name="Claude Desktop and other local hosts",
        runs=Runs.HERE,
        brief="a host that starts a program: `tradelatch mcp`, with the key in its environment or in a file",
        seen="Not run in Claude Desktop. Our tests run the program of its extension; the vendor's own check, mcpb "
        "2.1.2, finds the extension valid.",
        ways=(
            Way(
                slug="bundle",
                title="Claude Desktop, one click",
                steps=(
                    GuideStep(text="Create a key for it.", mints=True),
                    GuideStep(
                        text="Download the extension that was made for this instance and open it. Claude Desktop "
                        "installs it and needs nothing else on the computer.",
                        link=reverse("desktop-bundle"),
                        link_label="Download for Claude Desktop",
                    ),
                    GuideStep(text="Paste the key where it asks for it, and switch the extension on."),
                ),
            ),
            Way(
                slug="key",
                title="Key in the environment",
                steps=(
                    _MINT,
                    GuideStep(
                        text=where, copy=config({"args": args, "env": {KEY_VARIABLE: place.key}}), use=SnippetUse.FILE
                    ),
                    again,
                ),
            ),
            Way(
                slug="file",
                title="Key in a file",
                steps=(
                    GuideStep(text="Create a key and save it in a file.", mints=True),
                    GuideStep(
                        text="Keep the file private: a file that others can open is refused.",
                        copy="chmod 600 /path/to/key",
                        use=SnippetUse.SHELL,
                    ),
                    GuideStep(
                        text=where,
                        copy=config({"args": [*args, "--key-file", "/path/to/key"]}),
                        use=SnippetUse.FILE,
                    ),
                    again,
                ),
            ),
        ),
        notes=(
            "The command has to be on the computer where the host runs.",
            "Claude Desktop can also use the address directly, as a custom connector: see Claude. Its servers then "
            "make the calls, so the address has to be public.",
        ),
    )


def _web_client(place: Place, redirects: tuple[str, ...]) -> tuple[GuideStep, ...]:
    """What to paste into the client id field of a form on the web."""
    if not place.needs_client or not redirects:
        return ()
    return (GuideStep(text="Under its advanced settings, paste the client id.", copy=place.client_id),)


def _claude(place: Place) -> Guide:
    redirects = ("https://claude.ai/api/mcp/auth_callback",)
    return Guide(
        slug="claude",
        name="Claude",
        runs=Runs.INTERNET,
        brief="on the web and in the desktop and phone apps: add a custom connector with the address",
        seen=_REPLAYED,
        redirects=redirects,
        ways=(
            _oauth(
                *_registering(place, "Claude", redirects),
                GuideStep(
                    text="In Settings, Connectors, choose Add custom connector, and paste this address.",
                    copy=place.url,
                ),
                *_web_client(place, redirects),
                GuideStep(text=f"Press Connect. {_SIGN_IN}"),
                GuideStep(text="In a chat, switch the connector on under the tools button."),
            ),
        ),
        notes=(
            "On Team and Enterprise plans an owner of the organisation adds the connector first.",
            "A connector signs in; there is no field for an API key.",
        ),
    )


def _chatgpt(place: Place) -> Guide:
    redirects = ("https://chatgpt.com/connector_platform_oauth_redirect",)
    return Guide(
        slug="chatgpt",
        name="ChatGPT",
        runs=Runs.INTERNET,
        brief="switch on developer mode, then create an app with the address",
        seen=_REPLAYED,
        redirects=redirects,
        ways=(
            _oauth(
                *_registering(place, "ChatGPT", redirects),
                GuideStep(text="In Settings, Apps & Connectors, Advanced settings, switch on Developer mode."),
                GuideStep(
                    text="Back under Apps & Connectors, press Create, choose OAuth, and paste this as the server URL.",
                    copy=place.url,
                ),
                *_web_client(place, redirects),
                GuideStep(text=f"Press Create and sign in. {_SIGN_IN}"),
                GuideStep(text="In a chat, choose it under the plus button."),
            ),
        ),
        notes=(
            "ChatGPT decides which plans can add one and which can use tools that trade.",
            "It signs in; there is no field for an API key.",
        ),
    )


def _copilot_studio(place: Place) -> Guide:
    authorize = place.public_url + reverse("oauth2_provider:authorize")
    token = place.public_url + reverse("oauth2_provider:token")
    by_hand = (
        GuideStep(
            text="Under Authentication choose OAuth 2.0, Manual, and paste these. Authorization URL:", copy=authorize
        ),
        GuideStep(text="Token URL, and the same as Refresh URL:", copy=token),
        GuideStep(text="Scopes:", copy="mcp:read mcp:trade"),
        GuideStep(text="Client id and secret are those of the client you registered, marked as able to keep a secret."),
    )
    adding = GuideStep(
        text="On the agent's Tools page choose Add a tool, New tool, Model Context Protocol, and paste this as the "
        "server URL.",
        copy=place.url,
    )
    found_out = (GuideStep(text="Under Authentication choose OAuth 2.0, Dynamic discovery."),)
    return Guide(
        slug="copilot-studio",
        name="Copilot Studio",
        runs=Runs.INTERNET,
        brief="add a tool of the kind Model Context Protocol with the address",
        seen=_REPLAYED,
        ways=(
            _oauth(
                *_registering(place, "Copilot Studio", ()),
                adding,
                *(by_hand if place.needs_client else found_out),
                GuideStep(text=f"Press Create, then make a connection and sign in. {_SIGN_IN}"),
            ),
            _key(
                _MINT,
                adding,
                GuideStep(
                    text="Under Authentication choose API key, Header, with this header name.", copy="Authorization"
                ),
                GuideStep(
                    text="When you make the connection, it asks for the header's whole value.", copy=place.bearer
                ),
            ),
        ),
        notes=(
            "Everyone who uses the agent with the maker's credentials uses the maker's sign-in or key, and so the "
            "maker's connection. Let each user sign in instead.",
        ),
    )


def _perplexity(place: Place) -> Guide:
    adding = (
        GuideStep(
            text="In account settings, Connectors, choose Custom connector, Remote, and paste this as the MCP server "
            "URL.",
            copy=place.url,
        ),
    )
    return Guide(
        slug="perplexity",
        name="Perplexity",
        runs=Runs.INTERNET,
        brief="add a custom remote connector with the address",
        seen=_NOT_RUN,
        ways=(
            _oauth(
                *_registering(place, "Perplexity", ()),
                *adding,
                GuideStep(text="Choose OAuth and Streamable HTTP, and press Add."),
                GuideStep(text=f"Press the connector's card to sign in. {_SIGN_IN}"),
            ),
            _key(
                _MINT,
                *adding,
                GuideStep(text="Choose API key and Streamable HTTP, paste the key, and press Add.", copy=place.key),
            ),
        ),
        notes=("Members of an organisation can add one if its admins allow that.",),
    )


def _python(place: Place) -> Guide:
    signing = _oauth(
        GuideStep(text="fastmcp opens your browser to sign in.", copy="pip install fastmcp", use=SnippetUse.SHELL),
        GuideStep(
            text=f"Call a tool. {_SIGN_IN}",
            copy=f"fastmcp call {place.url} get_cash --auth oauth --json",
            use=SnippetUse.SHELL,
        ),
    )
    keying = _key(
        GuideStep(text="A script has nobody to click Allow, so it uses a key. Create one.", mints=True),
        GuideStep(text="Install the SDK.", copy="pip install mcp", use=SnippetUse.SHELL),
        GuideStep(
            text="Put the key into the environment.", copy=f"export {KEY_VARIABLE}={place.key}", use=SnippetUse.SHELL
        ),
        GuideStep(text="Run this.", copy=python_program(place), use=SnippetUse.FILE),
    )
    return Guide(
        slug="python",
        name="Python",
        runs=Runs.SCRIPT,
        brief="the SDK, `pip install mcp`, with a key",
        seen="Our tests run this program against mcp 2.3.0, and the commands against fastmcp 4.1.2.",
        ways=(keying,) if place.needs_client else (keying, signing),
    )


def _mcp_remote(place: Place) -> Guide:
    redirects = ("http://localhost/oauth/callback",)
    args = ["-y", "mcp-remote", place.url, "--transport", "http-only"]
    if not place.is_https and place.reach is not Reachability.LOOPBACK:
        args.append("--allow-http")
    plain = args
    if place.needs_client:
        plain = [*args, "--static-oauth-client-info", json.dumps({"client_id": place.client_id})]
    # Some hosts on Windows split an argument at its blank: the header's is in the environment.
    keyed = {
        "command": "npx",
        "args": [*args, "--header", "Authorization:${AUTH_HEADER}"],
        "env": {"AUTH_HEADER": place.bearer},
    }
    return Guide(
        slug="mcp-remote",
        name="mcp-remote",
        runs=Runs.SCRIPT,
        brief=f"hosts that only start local programs, with Node.js: `npx {' '.join(args[:3])}`",
        seen=_RAN.format("0.15.1"),
        redirects=redirects,
        ways=(
            _oauth(
                *_registering(place, "mcp-remote", redirects),
                GuideStep(
                    text="Put this into the host's configuration. It needs Node.js.",
                    copy=_json({"mcpServers": {NAME: {"command": "npx", "args": plain}}}),
                    use=SnippetUse.FILE,
                ),
                GuideStep(text=f"Start the host; mcp-remote opens your browser. {_SIGN_IN}"),
            ),
            _key(
                _MINT,
                GuideStep(
                    text="Put this into the host's configuration. It needs Node.js.",
                    copy=_json({"mcpServers": {NAME: keyed}}),
                    use=SnippetUse.FILE,
                ),
            ),
        ),
        notes=(
            "A host that accepts an address does not need this. mcp-remote stores the sign-in in your home directory.",
        ),
    )


def _inspector(place: Place) -> Guide:
    base = f"npx -y @modelcontextprotocol/inspector --cli {place.url} --transport http"
    header = f' --header "Authorization: {place.bearer}"'
    signing = _oauth(
        GuideStep(
            text=f"List the tools. It prints an address where you sign in. {_SIGN_IN}",
            copy=f"{base} --method tools/list",
            use=SnippetUse.SHELL,
        ),
    )
    keying = _key(
        _MINT,
        GuideStep(text="List the tools.", copy=f"{base}{header} --method tools/list", use=SnippetUse.SHELL),
        GuideStep(
            text="Call one.",
            copy=f"{base}{header} --method tools/call --tool-name get_cash",
            use=SnippetUse.SHELL,
        ),
    )
    return Guide(
        slug="inspector",
        name="MCP Inspector",
        runs=Runs.SCRIPT,
        brief="looks at the server from a terminal; needs Node.js 22",
        seen=_RAN.format("2.12.0"),
        ways=(keying,) if place.needs_client else (signing, keying),
    )
