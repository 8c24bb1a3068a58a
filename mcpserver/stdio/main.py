"""The words of the command line. Exit codes: 0 done, 1 refused, 2 misused, 3 no answer."""

import argparse
import os
import sys
from collections.abc import Sequence

from mcpserver.stdio import bridge, call, target_instance
from mcpserver.stdio.target_instance import Misused

_KEY_HELP = "The API key comes from TRADELATCH_API_KEY or from a file that only you can read; it is never an argument."
_JSON_HELP = """; a tool's arguments are one JSON object, such as --json '{"symbols": ["AAPL"]}'"""
_EXIT_HELP = (
    "Exit codes: 0 done; 1 refused, with the reason as JSON on standard error; 2 the command line is wrong; "
    "3 no answer: nothing is running there, or the key is not accepted."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    parser = _parser()
    options, others = parser.parse_known_args(argv)
    if others:
        parser.error(f"unrecognized arguments: {' '.join(others)}{_JSON_HELP if options.command == 'call' else ''}")
    try:
        match options.command:
            case "run":
                return _manage("run")
            case "quickstart":
                return _manage("quickstart", *(f"--{name}" for name in ("json", "rotate") if getattr(options, name)))
        to = target_instance.find(options.url, options.key_file, allow_http=options.allow_http)
        match options.command:
            case "mcp":
                return bridge.run(to)
            case "tools":
                return call.tools(to, whole=options.whole)
            case _:
                given = call.arguments(options.json)
                return call.call(to, options.tool, given, whole=options.whole, follow=options.all)
    except Misused as error:
        parser.exit(2, f"tradelatch: {error}\n")
    except BrokenPipeError:
        # Whoever read us has seen enough, as head does. Python would complain once more while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except KeyboardInterrupt:
        return 130


def _manage(*command: str) -> int:
    # Django takes longer to load than a whole call over the pipe; only these two commands need it.
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    try:
        execute_from_command_line(["tradelatch", *command])
    except ImproperlyConfigured as error:
        sys.exit(f"tradelatch: {error}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tradelatch",
        description="Let an AI assistant use a broker account without giving it the broker key.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"tradelatch {call.version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    commands.add_parser(
        "run",
        allow_abbrev=False,
        help="run the instance: web server, worker and scheduler, until Ctrl-C",
        description="Prepare the instance and run it: web server, worker and scheduler, until Ctrl-C. "
        "Settings come from the environment; docs/reference/settings.md lists them, and so does Help in the console.",
    )
    quickstart = commands.add_parser(
        "quickstart",
        allow_abbrev=False,
        help="create an account, a paper connection and two keys, once",
        description="Create the owner's account, a paper connection and two keys, once, and print how to sign in.",
    )
    quickstart.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    quickstart.add_argument(
        "--rotate", action="store_true", help="create a new password and new keys; the old ones end"
    )

    where = argparse.ArgumentParser(add_help=False)
    where.add_argument(
        "--url",
        metavar="URL",
        help="address of the instance; default TRADELATCH_PUBLIC_URL, else this computer at PORT or 8000",
    )
    where.add_argument("--key-file", metavar="FILE", help="file with the API key, instead of TRADELATCH_API_KEY")
    where.add_argument("--allow-http", action="store_true", help="allow plain http to another computer")

    commands.add_parser(
        "mcp",
        allow_abbrev=False,
        parents=[where],
        help="connect a host that starts local servers to a running instance",
        description="Speak MCP on standard input and output for a host that starts local servers, and pass every "
        "message on to a running instance.",
        epilog=_KEY_HELP,
    )
    tools = commands.add_parser(
        "tools",
        allow_abbrev=False,
        parents=[where],
        help="list the tools a key can call, one JSON object per line",
        description="List the tools this key can call, one JSON object per line.",
        epilog=f"{_KEY_HELP} {_EXIT_HELP}",
    )
    tools.add_argument("--whole", action="store_true", help="the full description of each tool, as a model sees it")
    one = commands.add_parser(
        "call",
        allow_abbrev=False,
        parents=[where],
        help="call one tool, and print one JSON object per line",
        description="Call one tool, and print one JSON object per line: each item of a list on its own line, with the "
        "rest of the answer on standard error; any other answer on one line.",
        epilog=f"{_KEY_HELP} {_EXIT_HELP}",
    )
    one.add_argument("tool", metavar="TOOL", help="name of the tool, as tradelatch tools lists it")
    one.add_argument(
        "--json",
        metavar="ARGUMENTS",
        default="{}",
        help="arguments as a JSON object, - to read them from standard input, or @FILE",
    )
    one.add_argument("--whole", action="store_true", help="the whole answer on one line, including lists")
    one.add_argument("--all", action="store_true", help="follow next_cursor until the last page")
    return parser
