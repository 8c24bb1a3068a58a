"""The tools of a paper connection, by what they take to see: so that no test counts them by hand."""

from console.scopes import Scope
from mcpserver import catalog

_PAPER = [tool for tool in catalog.TOOLS if catalog.can("paper", tool)]
ALL = [tool.name for tool in _PAPER]
READERS = [tool.name for tool in _PAPER if tool.scope is Scope.READ]
