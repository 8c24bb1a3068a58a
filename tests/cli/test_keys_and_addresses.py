"""Where the key comes from, who else could read it, and where it may be sent."""

import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.shared import inbound

from mcpserver.stdio import http_client
from tests.cli.command import REPOSITORY, run
from tests.cli.upstream import Asked, upstream


def _ok(asked: Asked) -> None:
    asked.result(content=[], structuredContent={"ok": True})


def test_a_file_that_only_its_owner_can_open_is_read_and_wins_over_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("tl_paper_fromfile\n")
    file.chmod(0o600)
    with upstream(_ok) as up:
        ran = run("call", "x", "--url", up.url, "--key-file", str(file), TRADELATCH_API_KEY="tl_paper_other")
        assert ran.code == 0
        assert up.next().headers["authorization"] == "Bearer tl_paper_fromfile"


@pytest.mark.parametrize(
    ("mode", "command"), [(0o640, ("mcp",)), (0o604, ("tools",)), (0o620, ("call", "get_cash")), (0o602, ("mcp",))]
)
def test_a_file_that_others_can_open_is_refused(tmp_path: Path, mode: int, command: tuple[str, ...]) -> None:
    file = tmp_path / "key"
    file.write_text("tl_paper_fromfile")
    file.chmod(mode)
    with upstream(_ok) as up:
        ran = run(*command, "--url", up.url, "--key-file", str(file))
        assert (ran.code, ran.out) == (2, "")
        assert "chmod 600" in ran.err and "tl_paper_fromfile" not in ran.err
        assert up.asked.empty()


@pytest.mark.parametrize("content", ["", "two words", "tl_paper_a\ntl_paper_b", "schlüssel", "tl\x07"])
def test_what_is_not_one_key_is_refused_without_being_shown(tmp_path: Path, content: str) -> None:
    file = tmp_path / "key"
    file.write_text(content)
    file.chmod(0o600)
    ran = run("call", "get_cash", "--key-file", str(file))
    assert ran.code == 2 and "must contain one API key and nothing else" in ran.err
    assert not content or content not in ran.err


def test_without_a_key_it_says_where_to_make_one() -> None:
    for command in (("mcp",), ("call", "get_cash")):
        ran = run(*command)
        assert ran.code == 2 and "create one in the console under API keys" in ran.err


def test_a_key_given_where_a_file_is_meant_is_not_repeated() -> None:
    ran = run("mcp", "--key-file", "tl_paper_secret")
    assert ran.code == 2 and "tl_paper_secret" not in ran.err
    assert run("mcp", "--key-file", "/nonexistent/key").code == 2


@pytest.mark.parametrize(
    "url",
    ["localhost:8000", "ftp://localhost", "http://", "http://user:pass@localhost", "http://localhost/mcp?key=1", "http://["],
)  # fmt: skip
def test_an_address_that_is_none_is_refused(url: str) -> None:
    ran = run("call", "get_cash", "--url", url, TRADELATCH_API_KEY="tl_paper_any")
    assert ran.code == 2 and "The address must look like" in ran.err


def test_plain_http_to_another_computer_needs_to_be_allowed() -> None:
    ran = run("call", "get_cash", "--url", "http://192.0.2.1:8000", TRADELATCH_API_KEY="tl_paper_any")
    assert ran.code == 2 and "--allow-http" in ran.err


def test_the_address_is_that_of_the_instance_this_environment_would_run() -> None:
    with upstream(_ok) as up:
        assert run("call", "x", TRADELATCH_PUBLIC_URL=up.url, TRADELATCH_API_KEY="tl_paper_any").code == 0
        assert run("call", "x", PORT=up.url.rpartition(":")[2], TRADELATCH_API_KEY="tl_paper_any").code == 0


def test_help_is_there_for_every_command() -> None:
    for command in ([], ["run"], ["mcp"], ["call"], ["tools"], ["quickstart"]):
        ran = run(*command, "--help")
        assert ran.code == 0 and "usage: tradelatch" in ran.out
    assert run().code == 2


def test_the_console_script_names_what_there_is() -> None:
    scripts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, name = scripts["tradelatch"].partition(":")
    assert callable(getattr(import_module(module), name))


@given(st.text(st.characters(exclude_categories=["Cs"])) | st.text("=?base64 \t~äZ", max_size=20))
def test_header_values_are_written_as_the_sdk_reads_them(value: str) -> None:
    assert http_client.encoded(value) == inbound.encode_header_value(value)


def test_the_methods_with_a_name_are_those_of_the_sdk() -> None:
    assert dict(inbound.NAME_BEARING_METHODS) == http_client.NAMED_BY
