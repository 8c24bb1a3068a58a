"""What a person types into the search box: an exact id leads to its page, anything else to what is called so."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q
from django.urls import reverse

from console import toolsets
from console.accounts.models import User
from console.audit import newest
from console.audit import queries as call_queries
from console.clients.models import Client
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.errors import EXPLANATIONS
from console.journal import queries as journal_queries
from console.keys.models import ApiKey, ManagementKey
from console.orders.models import Confirmation, Modification, Order, Question
from console.scopes import Source
from console.timeline import entries

LONGEST = 200
_EACH = 6
_KEY = re.compile(r"tl_[a-z]+_([A-Za-z0-9]{8})(?:_([A-Za-z0-9]+))?", re.ASCII)
_TRACE = re.compile(r"[0-9a-f]{32}", re.ASCII)
_SYMBOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9./:@_-]{0,39}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    title: str
    about: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    exact: str = ""
    """Address of the one thing that has this id."""
    groups: tuple[tuple[str, list[Hit]], ...] = ()
    has_secret: bool = False
    """What was typed holds a whole key, which must not be repeated."""


def search(user: User, typed: str, pages: Iterable[tuple[str, str]]) -> Found:
    """``pages`` are the names and addresses of the pages in this person's menu. Finds nothing of anybody else's."""
    typed = typed.strip()[:LONGEST]
    if not typed:
        return Found()
    key = _KEY.search(typed)
    if key is not None:
        return Found(exact=_key_page(user, key[1]), has_secret=key[2] is not None)
    if exact := _exact(user, typed):
        return Found(exact=exact)
    groups = [(title, hits) for title, find in _finders(user, typed, pages) if (hits := find())]
    return Found(groups=tuple(groups))


# -- one thing with this id ----------------------------------------------------------------------------------


def _exact(user: User, typed: str) -> str:
    prefix = typed.partition("_")[0] if "_" in typed else ""
    by_prefix: dict[str, Callable[[User, str], str]] = {
        "req": _call,
        "ord": _order,
        "cnf": _confirmation,
        "mod": _change_of_order,
        "qst": _question,
    }
    if prefix in by_prefix:
        return by_prefix[prefix](user, typed)
    own = Order.objects.filter(connection__owner=user)
    connections = list(Connection.objects.filter(owner=user).values_list("pk", flat=True))
    for found in (
        own.filter(connection_id__in=connections, client_order_id=typed),
        own.filter(broker_order_id=typed).exclude(broker_order_id=""),
        own.filter(wire_id=typed),
    ):
        if (public_id := found.values_list("public_id", flat=True).first()) is not None:
            return reverse("orders:detail", args=[public_id])
    if client := _client(user, typed):
        return client
    trade = journal_queries.own_trips(user).filter(public_id=typed).values_list("public_id", flat=True).first()
    if trade is not None:
        return reverse("journal:trade", args=[trade])
    return _key_page(user, typed) if len(typed) == _PUBLIC_ID else ""


_PUBLIC_ID = 8


def _call(user: User, typed: str) -> str:
    calls = call_queries.visible_calls(user, everyone=user.is_operator)
    return reverse("activity:call", args=[typed]) if newest.of_request(calls, typed) else ""


def _order(user: User, typed: str) -> str:
    mine = Order.objects.filter(connection__owner=user, public_id=typed)
    return reverse("orders:detail", args=[typed]) if mine.exists() else ""


def _confirmation(user: User, typed: str) -> str:
    mine = Confirmation.objects.filter(app__connection__owner=user, public_id=typed)
    return reverse("orders:approval", args=[typed]) if mine.exists() else ""


def _change_of_order(user: User, typed: str) -> str:
    mine = Modification.objects.filter(order__connection__owner=user, public_id=typed)
    order = mine.values_list("order__public_id", flat=True).first()
    return reverse("orders:detail", args=[order]) if order else ""


def _question(user: User, typed: str) -> str:
    mine = Question.objects.filter(order__connection__owner=user, public_id=typed)
    return reverse("orders:question", args=[typed]) if mine.exists() else ""


def _client(user: User, typed: str) -> str:
    found = Client.objects.filter(user=user, deleted_at=None, client_id=typed).values_list("pk", flat=True).first()
    return reverse("clients:detail", args=[found]) if found is not None else ""


def _key_page(user: User, public_id: str) -> str:
    own = ApiKey.objects.filter(app__owner=user, public_id=public_id).exists()
    if own or ManagementKey.objects.filter(owner=user, public_id=public_id).exists():
        return reverse("keys:traced", args=[public_id])
    return ""


# -- what is called so ---------------------------------------------------------------------------------------


def _finders(user: User, typed: str, pages: Iterable[tuple[str, str]]) -> list[tuple[str, Callable[[], list[Hit]]]]:
    lower = typed.lower()
    return [
        ("Timeline", lambda: _trace(lower)),
        ("Pages", lambda: [Hit(title=name, about="", url=url) for name, url in pages if lower in name.lower()][:_EACH]),
        ("Connections", lambda: _connections(user, typed)),
        ("Apps", lambda: _apps(user, typed)),
        ("API keys", lambda: _keys(user, typed)),
        ("Orders", lambda: _orders(user, typed)),
        ("Tools", lambda: _tools(lower)),
        ("Error codes", lambda: _codes(lower)),
        ("People", lambda: _people(user, typed)),
    ]


def _trace(lower: str) -> list[Hit]:
    """It has no index: the timeline looks for it, in pages."""
    if not _TRACE.fullmatch(lower):
        return []
    return [Hit(title="Calls of this trace", about=lower, url=_timeline(trace=lower))]


def _connections(user: User, typed: str) -> list[Hit]:
    found = Connection.objects.filter(owner=user, name__icontains=typed, closed_at=None)
    return [
        Hit(title=each.name, about=each.broker, url=reverse("connections:detail", args=[each.pk]))
        for each in found[:_EACH]
    ]


def _apps(user: User, typed: str) -> list[Hit]:
    found = ConnectedApp.objects.filter(owner=user, name__icontains=typed, activated_at__isnull=False)
    found = found.exclude(source=Source.CONSOLE).select_related("connection").order_by("-id")
    return [
        Hit(title=each.name, about=f"on {each.connection.name}", url=reverse("apps:detail", args=[each.pk]))
        for each in found[:_EACH]
    ]


def _keys(user: User, typed: str) -> list[Hit]:
    found = ApiKey.objects.filter(Q(hint__icontains=typed) | Q(note__icontains=typed), app__owner=user)
    managing = ManagementKey.objects.filter(Q(hint__icontains=typed) | Q(name__icontains=typed), owner=user)
    named = [(each, each.app.name) for each in found.select_related("app")[:_EACH]]
    named_managing = [(each, each.name) for each in managing[:_EACH]]
    return [
        Hit(title=each.hint, about=name, url=reverse("keys:traced", args=[each.public_id]))
        for each, name in [*named, *named_managing]
    ][:_EACH]


def _orders(user: User, typed: str) -> list[Hit]:
    """The newest in a symbol of this name."""
    if not _SYMBOL.fullmatch(typed):
        return []
    connections = list(Connection.objects.filter(owner=user).values_list("pk", flat=True))
    found: list[Order] = []
    for connection in connections[:_MOST_CONNECTIONS]:
        for symbol in sorted({typed, typed.upper()}):  # with both at once SQLite reads every order of the connection
            found += Order.objects.filter(connection_id=connection, symbol=symbol).order_by("-id")[:_EACH]
    if not found:
        return []
    found.sort(key=lambda order: -order.pk)
    symbol = found[0].symbol
    everything = Hit(title=f"Everything about {symbol}", about="Timeline", url=_timeline(symbol=symbol))
    return [
        everything,
        *(
            Hit(
                title=entries.order_line(order),
                about=order.status_words,
                url=reverse("orders:detail", args=[order.public_id]),
            )
            for order in found[: _EACH - 1]
        ),
    ]


_MOST_CONNECTIONS = 50


def _timeline(**filters: Any) -> str:
    return f"{reverse('timeline:list')}?{urlencode(filters)}"


def _tools(lower: str) -> list[Hit]:
    found = [tool for tool in toolsets.provided() if lower in tool.name]
    return [Hit(title=tool.name, about="Calls of this tool", url=_timeline(tool=tool.name)) for tool in found[:_EACH]]


def _codes(lower: str) -> list[Hit]:
    words = lower.replace(" ", "_")
    found = [(code, each) for code, each in EXPLANATIONS.items() if words in code.value or lower in each.title.lower()]
    return [
        Hit(title=code.value, about=each.title, url=reverse("help:error", args=[code.value]))
        for code, each in found[:_EACH]
    ]


def _people(user: User, typed: str) -> list[Hit]:
    """For operators."""
    if not user.is_operator:
        return []
    found = User.objects.filter(email__icontains=typed).order_by("email")
    return [
        Hit(title=each.email, about="Timeline", url=_timeline(everyone=1, person=each.pk)) for each in found[:_EACH]
    ]
