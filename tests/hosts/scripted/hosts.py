"""The hosts, each set up by the words of its guide and pointed at a scripted model by its own settings."""

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.hosts import guide
from tests.serving import Server

ROOT = Path(__file__).parents[3]
TOOLS = ROOT / ".test-tools"
# Programs of the npm packages, with Node 22 among them.
BINARIES = (TOOLS / "scripted" / "node_modules" / ".bin", TOOLS / "hosts" / "node_modules" / ".bin")
KEY_VARIABLE = "TRADELATCH_API_KEY"
_SECONDS = 120
_UNWANTED = ("TRADELATCH_", "CLAUDE", "CODEX", "ANTHROPIC", "OPENAI", "GEMINI", "COPILOT", "OPENCODE", "QWEN", "GH_")
_QUIET = {
    "BROWSER": "/bin/false",
    "CI": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_AUTOUPDATER": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "COPILOT_OFFLINE": "true",
    "COPILOT_AUTO_UPDATE": "false",
    "NO_COLOR": "1",
}


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run of a host ended, and what it wrote."""

    code: int
    said: str


class Host(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def package(self) -> str: ...

    def set_up(self, home: Path, server: Server, key: str) -> "Ready": ...


@dataclass(slots=True)
class Ready:
    """A host that knows our server, in a home of its own."""

    home: Path
    command: list[str]
    variables: dict[str, str] = field(default_factory=dict)
    models: "Models | None" = None

    def run(self, model_url: str) -> Ran:
        variables = self.models.point(self.home, model_url) if self.models else {}
        return execute(self.command, self.home, self.variables | variables)


class Models(Protocol):
    """How a host is told which model to ask."""

    def point(self, home: Path, url: str) -> dict[str, str]: ...


def execute(command: list[str], home: Path, variables: dict[str, str]) -> Ran:
    """Run it with nobody at the keyboard, in an environment without anybody's own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_UNWANTED)}
    path = ":".join([*map(str, BINARIES), os.environ["PATH"]])
    # Some leave what was too long for their model in the folder for temporary files.
    work, temporary = home / "work", home / "tmp"
    work.mkdir(exist_ok=True)
    temporary.mkdir(exist_ok=True)
    own = {"PATH": path, "HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), "TMPDIR": str(temporary)}
    with subprocess.Popen(
        command,
        cwd=work,
        env=kept | _QUIET | own | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            said, _ = process.communicate(timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            said, _ = process.communicate()
            said += f"\nIt did not end within {_SECONDS} s."
    return Ran(process.returncode, said)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidedHost:
    """A program with a setup guide in the console: its tab "Unattended" is done line by line."""

    name: str
    package: str
    slug: str
    models: Models
    file: str = ""
    """Where the file of the guide goes, below the home."""

    def set_up(self, home: Path, server: Server, key: str) -> Ready:
        variables: dict[str, str] = {}
        typed: list[list[str]] = []
        for use, text in guide.steps(server, self.slug, "unattended", key):
            if use == "file":
                target = home / self.file
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text)
            elif text.startswith("export "):
                variable, _, value = text.removeprefix("export ").partition("=")
                variables[variable] = value
            else:
                typed.append(shlex.split(text))
        *before, last = typed
        for command in before:
            ran = execute(command, home, variables)
            assert ran.code == 0, ran.said
        return Ready(home, last, variables, self.models)


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """A framework: the program of its section in docs/build/frameworks.md."""

    name: str
    package: str
    section: str
    runner: tuple[str, ...]
    suffix: str = ".py"

    def set_up(self, home: Path, server: Server, key: str) -> Ready:
        text = (ROOT / "docs" / "build" / "frameworks.md").read_text()
        section = re.search(rf"^## {re.escape(self.section)}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
        assert section is not None, self.section
        (program,) = re.findall(r"^```(?:python|js)\n(.*?)^```", section[1], re.DOTALL | re.MULTILINE)
        program = program.replace("http://localhost:8000/mcp", server.mcp_url)
        if self.suffix == ".py":
            program = _in_a_function(program)
        # A module is looked for beside the file that imports it, so JavaScript lies where npm put its packages.
        file = (TOOLS / "scripted" if self.suffix == ".mjs" else home) / f"program-{server.port}{self.suffix}"
        file.write_text(program)
        return Ready(home, [*self.runner, str(file)], {KEY_VARIABLE: key}, OpenAIVariables())


def _in_a_function(program: str) -> str:
    """A program that awaits, as one that Python runs: its imports first."""
    head = [line for line in program.splitlines() if line.startswith(("import ", "from "))]
    body = [line for line in program.splitlines() if line not in head]
    inside = "\n".join(f"    {line}" if line else "" for line in body)
    return "\n".join([*head, "import asyncio", "", "async def main():", inside, "", "asyncio.run(main())", ""])


class OpenAIVariables:
    def point(self, home: Path, url: str) -> dict[str, str]:
        return {"OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": "none", "OPENAI_AGENTS_DISABLE_TRACING": "1"}


class ClaudeModels:
    def point(self, home: Path, url: str) -> dict[str, str]:
        return {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "none", "ANTHROPIC_MODEL": "claude-sonnet-5"}


@dataclass(frozen=True, slots=True)
class CodexModels:
    """By the name of a model Codex chooses how it offers tools; without one it takes its own default."""

    model: str = ""

    def point(self, home: Path, url: str) -> dict[str, str]:
        file = home / ".codex" / "config.toml"
        *_, ours = file.read_text().rpartition("# the guide\n")
        lines = [f'model = "{self.model}"'] if self.model else []
        lines += [
            'model_provider = "scripted"',
            "[model_providers.scripted]",
            'name = "scripted"',
            f'base_url = "{url}/v1"',
            'wire_api = "responses"',
            'env_key = "SCRIPTED_KEY"',
            "request_max_retries = 0",
            "stream_max_retries = 0",
        ]
        file.write_text("\n".join([*lines, "# the guide", ours]))
        return {"SCRIPTED_KEY": "none"}


class GeminiModels:
    def point(self, home: Path, url: str) -> dict[str, str]:
        file = home / ".gemini" / "settings.json"
        settings = json.loads(file.read_text())
        settings["security"] = {"auth": {"selectedType": "gemini-api-key"}}
        file.write_text(json.dumps(settings))
        return {"GEMINI_API_KEY": "none", "GOOGLE_GEMINI_BASE_URL": url, "GEMINI_MODEL": "gemini-2.5-pro"}


class QwenModels:
    def point(self, home: Path, url: str) -> dict[str, str]:
        file = home / ".qwen" / "settings.json"
        settings = json.loads(file.read_text())
        settings["security"] = {"auth": {"selectedType": "openai"}}
        file.write_text(json.dumps(settings))
        return {"OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": "none", "OPENAI_MODEL": "scripted"}


class OpencodeModels:
    def point(self, home: Path, url: str) -> dict[str, str]:
        folder = home / ".config" / "opencode"
        file = next(iter(sorted(folder.glob("opencode.json*"))))
        settings = json.loads(file.read_text())
        settings["provider"] = {
            "scripted": {
                "npm": "@ai-sdk/openai-compatible",
                "options": {"baseURL": f"{url}/v1", "apiKey": "none"},
                "models": {"scripted": {"tool_call": True, "limit": {"context": 200_000, "output": 8_000}}},
            }
        }
        settings["model"] = settings["small_model"] = "scripted/scripted"
        file.write_text(json.dumps(settings))
        return {}


class CopilotModels:
    def point(self, home: Path, url: str) -> dict[str, str]:
        return {
            "COPILOT_PROVIDER_BASE_URL": f"{url}/v1",
            "COPILOT_PROVIDER_TYPE": "openai",
            "COPILOT_PROVIDER_API_KEY": "none",
            "COPILOT_MODEL": "gpt-5.4",
        }


def version(host: Host) -> str:
    """The one that is pinned: what ``make hosts`` installs."""
    found: dict[str, str] = {}
    folder = Path(__file__).parent
    for file in (folder.parent / "package.json", folder / "package.json"):
        found |= json.loads(file.read_text())["dependencies"]
    for file in folder.glob("*.txt"):
        found |= dict(re.findall(r"^([\w-]+)(?:\[.*\])?==(.+)$", file.read_text(), re.MULTILINE))
    return found[host.package]


def _guided(name: str, slug: str, package: str, models: Models, file: str = "") -> GuidedHost:
    return GuidedHost(name=name, slug=slug, package=package, models=models, file=file)


def _codex(name: str, model: str) -> GuidedHost:
    return _guided(name, "codex", "@openai/codex", CodexModels(model), ".codex/config.toml")


def _python(name: str, section: str, package: str, environment: str) -> Library:
    runner = (str(TOOLS / environment / "bin" / "python"),)
    return Library(name=name, section=section, package=package, runner=runner)


HOSTS: tuple[Host, ...] = (
    _guided("Claude Code", "claude-code", "@anthropic-ai/claude-code", ClaudeModels()),
    _codex("Codex, functions", "gpt-5.4"),
    _codex("Codex, tool search", "gpt-5.5"),
    _codex("Codex, code mode", ""),
    _guided("Gemini CLI", "gemini-cli", "@google/gemini-cli", GeminiModels()),
    _guided("Qwen Code", "qwen-code", "@qwen-code/qwen-code", QwenModels()),
    _guided("opencode", "opencode", "opencode-ai", OpencodeModels()),
    _guided("Copilot CLI", "copilot-cli", "@github/copilot", CopilotModels()),
    _python("OpenAI Agents SDK", "OpenAI Agents SDK", "openai-agents", "agents"),
    _python("LangChain", "LangChain", "langchain-mcp-adapters", "langchain"),
    _python("Pydantic AI", "Pydantic AI", "pydantic-ai-slim", "agents"),
    Library(name="AI SDK", section="AI SDK", package="@ai-sdk/mcp", runner=("node",), suffix=".mjs"),
)
