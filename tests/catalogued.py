"""The tools of a paper connection by what they take to see, as its owner has them who switched nothing."""

from console.scopes import Scope
from console.toolsets import ON_BY_DEFAULT
from mcpserver import catalog

_PAPER = [tool for tool in catalog.TOOLS if catalog.can("paper", tool) and tool.toolset in ON_BY_DEFAULT]
ALL = [tool.name for tool in _PAPER]
READERS = [tool.name for tool in _PAPER if tool.scope is Scope.READ]
