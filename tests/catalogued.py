"""The tools there are, by what they take to see: so that no test counts them by hand."""

from console.scopes import Scope
from mcpserver import catalog

ALL = [tool.name for tool in catalog.TOOLS]
READERS = [tool.name for tool in catalog.TOOLS if tool.scope is Scope.READ]
