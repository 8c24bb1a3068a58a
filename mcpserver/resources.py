"""What a client may read by address, each declared once. Every read passes the pipeline like a tool call.

MCP server/resources. An address is a URI, or a template with one variable (RFC 6570): ``{name}`` up to the next
slash, ``{+name}`` with slashes.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import unquote

from django.conf import settings

from console import scopes
from console.connections.models import Connection, Policy
from console.errors import Code, Refusal
from console.scopes import Scope
from console.toolsets import Toolset
from mcpserver.arguments.base import Text
from mcpserver.context import ToolCall
from mcpserver.tools import holdings, market, orders

JSON = "application/json"
_VARIABLE = re.compile(r"\{(\+?)(\w+)\}")


class Watch(StrEnum):
    """What moves a resource, for those who listen."""

    ORDER = "order"
    ORDERS = "orders"
    QUOTE = "quote"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    name: str
    title: str
    about: str
    uri: str
    run: Callable[[ToolCall], dict[str, Any]]
    """With the variable of the template in ``call.args``. JSON is the whole answer; other text is its ``text``,
    anything else its ``blob`` in base64."""
    returns: type[Any] = dict
    """The TypedDict of what it answers, as a tool's."""
    toolset: Toolset = Toolset.CORE
    """What its owner switches off with the tools of the same kind."""
    mime: str = JSON
    watch: Watch | None = None
    meta: Mapping[str, Any] | None = None
    """What is said of its contents beside them, as ``_meta``."""

    @property
    def is_template(self) -> bool:
        return "{" in self.uri

    def match(self, uri: str) -> dict[str, str] | None:
        """The variables of the template in this address; None when it is not one of these."""
        pattern, at = "", 0
        for variable in _VARIABLE.finditer(self.uri):
            slashes, name = variable.groups()
            pattern += re.escape(self.uri[at : variable.start()]) + f"(?P<{name}>{'.+' if slashes else '[^/]+'})"
            at = variable.end()
        found = re.fullmatch(pattern + re.escape(self.uri[at:]), uri)
        if found is None:
            return None
        return {name: Text(name=name, longest=64).parse(unquote(value)) for name, value in found.groupdict().items()}


def find(resources: tuple[Resource, ...], uri: str) -> tuple[Resource, dict[str, str]]:
    """The resource at an address, and the variable in it. Raises Refusal."""
    for resource in resources:
        variables = resource.match(uri)
        if variables is not None:
            return resource, variables
    raise Refusal(
        Code.NOT_FOUND,
        f"This server has no resource {uri[:200]!r}. List the resources and their templates to see them.",
        field="uri",
    )


def toolset_of(resources: tuple[Resource, ...], uri: str) -> Toolset:
    """What an address belongs to; the basics for one that leads nowhere, so that ``find`` can say so."""
    try:
        return find(resources, uri)[0].toolset
    except Refusal:
        return Toolset.CORE


def _quote(call: ToolCall) -> dict[str, Any]:
    call.args = {"symbols": [call.args["symbol"]]}
    return market.get_quote(call)


def _guide(call: ToolCall) -> dict[str, Any]:
    who = call.principal
    connection = Connection.objects.only("trading_enabled", "policy").get(pk=who.connection_id)
    money = "practice money on a simulated account" if who.environment.value == "paper" else "real money"
    if not who.may(Scope.TRADE):
        may = "This app can only read; its owner can allow trading by connecting it again."
    elif not connection.trading_enabled:
        may = (
            "This app has permission to trade, but trading is switched off for the connection. Its owner can switch "
            "it on."
        )
    elif connection.policy == Policy.TWO_STEP:
        may = (
            "This app can trade. place_order prepares an order and sends nothing; show its summary to the user, and "
            "call confirm_trade only after they agree, within"
            f" {settings.CONFIRMATION_SECONDS} seconds."
        )
    else:
        may = "This app can prepare orders. Only the owner can release one, in the console."
    return {
        "text": f"""# This Tradelatch

You are acting as the app "{who.app_label}", on the connection "{who.connection_label}" ({who.broker}, {money}).

- Scopes: {scopes.render(who.scopes)}. {may}
- Limits: {settings.CALLS_PER_MINUTE} calls a minute over all apps of the user, {settings.TRADE_CALLS_PER_MINUTE} of
  them trading. Cancels have a separate limit.
- Every result has `context`: the connection, the account, whether it is paper or live, and the time. Amounts are
  decimal text. Times are UTC.
- A refusal has a stable `code` and says what to do. If an outcome is unknown, never place the order again: call
  get_order_status.
- To follow an order, read or listen to tradelatch://orders/ and its order_id; to follow a price,
  tradelatch://quotes/ and the symbol.
- The owner can pause this app or revoke its access at {settings.PUBLIC_URL}/apps/{who.app_id}/, and sees every call
  it made.
"""
    }


RESOURCES: tuple[Resource, ...] = (
    Resource(
        name="account",
        title="Account summary",
        about="Cash, totals and positions of the current account.",
        uri="tradelatch://account",
        run=holdings.get_portfolio,
        returns=holdings.Portfolio,
        toolset=Toolset.ACCOUNT,
        watch=Watch.ORDERS,
    ),
    Resource(
        name="orders",
        title="Open orders",
        about="Orders of the current account that have not ended.",
        uri="tradelatch://orders",
        run=orders.get_orders,
        returns=orders.Orders,
        toolset=Toolset.TRADE_READ,
        watch=Watch.ORDERS,
    ),
    Resource(
        name="guide",
        title="Guide to this instance",
        about="What this app can do here, and how orders are confirmed.",
        uri="tradelatch://guide",
        run=_guide,
        mime="text/markdown",
    ),
    Resource(
        name="order",
        title="One order",
        about="One order with its fills and history.",
        uri="tradelatch://orders/{order_id}",
        run=orders.get_order_status,
        returns=orders.OneOrder,
        toolset=Toolset.TRADE_READ,
        watch=Watch.ORDER,
    ),
    Resource(
        name="quote",
        title="One quote",
        about="Last, bid and ask of one instrument, such as tradelatch://quotes/BTC/USD.",
        uri="tradelatch://quotes/{+symbol}",
        run=_quote,
        returns=market.Quotes,
        toolset=Toolset.MARKET,
        watch=Watch.QUOTE,
    ),
)
