from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from console.accounts.models import User
from console.elapsed import span_text
from console.halts import services as halts
from console.halts.models import Halt
from console.orders.owner.pending_badge import PendingBadge
from console.recent_errors import queries as recent_errors


@dataclass(frozen=True, slots=True)
class NavItem:
    label: str
    url: str
    current: bool
    counts_waiting: bool = False
    counts_errors: bool = False


@dataclass(frozen=True, slots=True)
class NavSection:
    title: str
    items: list[NavItem]
    folds: bool = False
    """Its items are behind its title, but while one of them is the page shown."""

    @property
    def is_current(self) -> bool:
        return any(item.current for item in self.items)


def instance(request: HttpRequest) -> dict[str, Any]:
    """What every page may say of this instance, and the way to the other pages."""
    known: dict[str, Any] = {
        "mcp_url": settings.MCP_URL,
        "public_url": settings.PUBLIC_URL,
        "base_path": settings.BASE_PATH,
        "confirmation_time": span_text(settings.CONFIRMATION_SECONDS),
    }
    user = getattr(request, "user", None)
    if isinstance(user, User):
        known["navigation"] = _navigation(request, user)
        # A callable: pages without the sidebar ask no question of the database.
        known["waiting_approvals"] = cache(lambda: PendingBadge.of(user))
        known["open_errors"] = cache(lambda: recent_errors.open_faults(user))
        known["standing_halts"] = cache(lambda: _halts(user))
    else:
        known["navigation"] = _for_strangers(request)
    return known


def _halts(user: User) -> list[Halt]:
    """Mostly there are none, which a short question finds out."""
    standing = halts.relevant_to(user)
    return list(standing) if standing.order_by().values_list("pk", flat=True)[:1] else []


def _for_strangers(request: HttpRequest) -> list[NavSection]:
    """Beside the pages that need no sign-in."""
    help_url = reverse("help:contents")
    return [
        NavSection(
            "",
            [
                NavItem("Sign in", reverse("sign-in"), current=False),
                NavItem("Help", help_url, current=request.path.startswith(help_url)),
            ],
        )
    ]


AUTOMATION = ("alerts:list", "plans:list", "signals:list")
"""The pages beneath Automation; each has its tab in automation/tabs.html. The first is where the entry leads."""


def _navigation(request: HttpRequest, user: User) -> list[NavSection]:
    everyone = "everyone" in request.GET

    def item(
        label: str, name: str, *, query: str = "", counts_waiting: bool = False, counts_errors: bool = False
    ) -> NavItem:
        url = reverse(name)
        here = request.path == url if name == "home" else request.path.startswith(url)
        here = here and (name != "orders:list" or not request.path.startswith(reverse("orders:approvals")))
        here = here and (name != "clients:list" or not request.path.startswith(reverse("clients:review")))
        return NavItem(label, url + query, here and bool(query) == everyone, counts_waiting, counts_errors)

    sections = [
        NavSection(
            "",
            [
                item("Home", "home"),
                item("Portfolio", "desk:portfolio"),
                item("Connections", "connections:list"),
                item("Connected apps", "apps:list"),
                item("API keys", "keys:list"),
                item("Connect an assistant", "connect"),
                item("Approvals", "orders:approvals", counts_waiting=True),
                item("Orders", "orders:list"),
                NavItem("Automation", reverse(AUTOMATION[0]), request.path.startswith(tuple(map(reverse, AUTOMATION)))),
                item("Journal", "journal:list"),
                item("Halts", "halts:list"),
                item("Timeline", "timeline:list"),
                item("Recent errors", "errors", counts_errors=True),
            ],
        ),
        NavSection(
            "Developers",
            [
                item("OAuth clients", "clients:list"),
                item("MCP tools", "tools"),
                item("Playground", "playground"),
                item("REST API", "developers"),
            ],
            folds=user.is_operator,  # whose menu is otherwise longer than a screen of 900 pixels
        ),
        NavSection(
            "You",
            [
                item("Security", "security:overview"),
                item("Notifications", "notifications:overview"),
                item("Help", "help:contents"),
            ],
        ),
    ]
    if user.is_operator:
        sections.append(
            NavSection(
                "Operators",
                [
                    item("System", "operator:system"),
                    item("People", "people:list"),
                    item("All clients", "operator:clients"),
                    item("All grants", "operator:grants"),
                    item("All connections", "operator:connections"),
                    item("All halts", "operator:halts"),
                    item("Apps to review", "clients:review"),
                    item("Everyone's timeline", "timeline:list", query="?everyone=1"),
                    item("All errors", "errors", query="?everyone=1"),
                    item("Platforms", "platforms:list"),
                ],
            )
        )
    return sections
