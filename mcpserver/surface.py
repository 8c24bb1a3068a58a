"""Everything one MCP server shows: tools, prompts, resources. Whoever makes the app may show something else."""

from collections.abc import Callable
from dataclasses import dataclass

from console.principal import Principal
from mcpserver import catalog, elicitation, order_card, prompts, resources
from mcpserver.catalog import Tool
from mcpserver.elicitation import Ask
from mcpserver.prompts import Prompt
from mcpserver.resources import Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    find: Callable[[str], Tool | None] = catalog.find
    visible: Callable[[Principal], tuple[Tool, ...]] = catalog.visible
    prompts: tuple[Prompt, ...] = prompts.PROMPTS
    resources: tuple[Resource, ...] = (*resources.RESOURCES, order_card.RESOURCE)
    ask: Ask = elicitation.ask
    """How a tool that ``asks`` is called."""


OURS = Surface()
