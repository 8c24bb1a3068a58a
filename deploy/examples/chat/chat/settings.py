"""What the environment says. Nothing of it reaches the browser."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

ANTHROPIC, OPENAI, SCRIPTED = "anthropic", "openai", "scripted"
_NEEDED = ("TRADELATCH_CLIENT_ID", "TRADELATCH_CLIENT_SECRET")


class SettingsError(Exception):
    """Says what is missing or wrong, and what to set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    tradelatch_url: str
    """Of the instance, without a slash at its end."""
    client_id: str
    client_secret: str = field(repr=False)
    model_style: str = SCRIPTED
    """Which interface the model's server speaks: Anthropic Messages, or OpenAI Chat Completions."""
    model_url: str = ""
    model_name: str = ""
    model_key: str = field(default="", repr=False)
    host: str = "127.0.0.1"
    port: int = 8080

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Raises SettingsError."""
        missing = [name for name in _NEEDED if not environment.get(name)]
        if missing:
            raise SettingsError(
                f"Set {' and '.join(missing)}: an operator of your Tradelatch gets both under Platforms."
            )
        style = environment.get("MODEL_STYLE", SCRIPTED)
        if style not in (ANTHROPIC, OPENAI, SCRIPTED):
            raise SettingsError(f"MODEL_STYLE is {style!r}: set it to {ANTHROPIC}, {OPENAI} or {SCRIPTED}.")
        url = environment.get("MODEL_URL", "").rstrip("/")
        if style != SCRIPTED and not (url and environment.get("MODEL_NAME")):
            raise SettingsError(
                f"MODEL_STYLE is {style}: set MODEL_URL and MODEL_NAME too, and MODEL_KEY where it is asked for."
            )
        port = environment.get("PORT", "8080")
        if not port.isdecimal() or not 0 < int(port) < 65536:
            raise SettingsError(f"PORT is {port!r}: set a number from 1 to 65535.")
        return cls(
            tradelatch_url=environment.get("TRADELATCH_URL", "http://localhost:8000").rstrip("/"),
            client_id=environment["TRADELATCH_CLIENT_ID"],
            client_secret=environment["TRADELATCH_CLIENT_SECRET"],
            model_style=style,
            model_url=url,
            model_name=environment.get("MODEL_NAME", ""),
            model_key=environment.get("MODEL_KEY", ""),
            host=environment.get("HOST", "127.0.0.1"),
            port=int(port),
        )
