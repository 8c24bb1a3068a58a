"""How the pages write money, quantities, times and the paper or live tag."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from brokers import decimals
from brokers.types import Environment
from console import ids, scopes
from console.connected_apps.models import ConnectedApp
from console.elapsed import seconds_text
from console.orders.models import Order
from console.orders.terms import describe
from console.scopes import Scope, Source

register = template.Library()

NOTHING = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
_SOURCES: dict[str, str] = {
    Source.OAUTH: "OAuth",
    Source.API_KEY: "API key",
    Source.PLATFORM: "Platform token",
    Source.MANAGEMENT: "Management key",
    Source.SIGNAL: "Signal",
    Source.CONSOLE: "The console",
}


@register.simple_tag
def environment(value: str) -> SafeString:
    """Paper or live, never left out: what is not known to be paper is shown as live."""
    if not value:
        return SafeString("")
    if value == Environment.PAPER:
        return format_html('<span class="{}">Paper</span>', "tag-paper")
    return format_html('<span class="{}">Live</span>', "tag-live")


@register.filter
def environment_label(value: str) -> str:
    return "Paper" if value == Environment.PAPER else "Live"


@register.filter
def account(number: str) -> str:
    """An account's number but for its end: its owner may have it shown, which is put on record."""
    return ids.mask_account(number)


@register.filter
def number(value: Decimal | None) -> str:
    """Thousands apart and not a digit dropped: 12,430.5 stays 12,430.5."""
    return NOTHING if value is None else decimals.grouped(value)


@register.filter
def money(value: Decimal | None, currency: str | None = None) -> str:
    """``{{ equity|money:"USD" }}`` → ``12,430.50 USD``, in the currency's own decimals.

    Without a currency every digit is kept, and there are at least two decimals.
    """
    if value is None:
        return NOTHING
    return decimals.money(value) if currency is None else decimals.amount(value, currency)


@register.filter
def gain(value: Decimal | None, currency: str) -> str:
    """``{{ profit|gain:"USD" }}`` → ``+1,204.00 USD``; a loss has a minus, nothing has no sign."""
    if value is None:
        return NOTHING
    said = decimals.amount(abs(value), currency)
    return f"{'+' if value > 0 else MINUS}{said}" if value else said


@register.filter
def kilobytes(value: int) -> str:
    """1 kB is 1,000 bytes."""
    return f"{value / 1000:,.1f} kB"


@register.filter
def balance(value: Decimal | None) -> str:
    """An account's worth to the cent, for a list; the exact value is the broker's."""
    return NOTHING if value is None else f"{value:,.2f}"


@register.filter
def balance_of(value: Decimal | None, unit: str) -> str:
    """An amount to the cent, a count as it is."""
    return number(value) if unit == "orders" else balance(value)


@register.filter
def listed(names: Collection[object]) -> str:
    """Some of them, and how many more."""
    named = sorted(str(name) for name in names)
    return ", ".join(named[:12]) + (f" and {len(named) - 12} more" if len(named) > 12 else "") if named else "Nothing"


@register.filter
def percent(value: Decimal | None) -> str:
    """A change in percent, with its sign: ``+1.20%``."""
    return NOTHING if value is None else f"{_with_sign(value)}%"


@register.filter
def share(value: Decimal | None) -> str:
    """A part in percent, without a sign: ``146%``, ``4.5%``."""
    return NOTHING if value is None else f"{decimals.grouped(value.quantize(Decimal('0.1')))}%"


@register.filter
def signed(value: Decimal | None) -> str:
    """A gain or a loss to the cent, with its sign."""
    return NOTHING if value is None else _with_sign(value)


def _with_sign(value: Decimal) -> str:
    """What is zero to two decimals has none."""
    said = f"{value:+,.2f}".replace("-", MINUS)
    return said[1:] if said[1:] == "0.00" else said


@register.filter
def price(value: Decimal | None) -> str:
    """At least two decimals, at most eight: an average has as many as it likes."""
    return NOTHING if value is None else money(value.quantize(Decimal("1E-8")).normalize() if value else value)


@register.filter
def span(value: timedelta) -> str:
    """How long something took, in its two largest units."""
    seconds = int(value.total_seconds())
    parts = ((seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "min"), (seconds % 60, "s"))
    said = [f"{count} {unit}" for count, unit in parts if count]
    return " ".join(said[:2]) or "less than a second"


@register.filter
def direction(value: Decimal | None) -> str:
    """The class for a gain or a loss, once it is large enough to be seen in two decimals."""
    if value is None or abs(value) < Decimal("0.005"):
        return ""
    return "good" if value > 0 else "bad"


@register.filter
def duration(microseconds: int) -> str:
    if microseconds < 10_000:
        return f"{microseconds / 1000:.1f} ms"
    return f"{microseconds // 1000:,} ms"


@register.filter
def milliseconds(count: int) -> str:
    """``4.2 s``."""
    return seconds_text(count)


@register.filter
def order_text(order: Order) -> str:
    """``Buy 10 AAPL, limit 181.50 USD, day``: the line the order was shown with."""
    return describe(order.request, order.currency)


@register.filter
def scope_text(text: str) -> str:
    """``Read only`` for the scopes as they are stored."""
    if text == Scope.MANAGE:
        return "Manage"
    return scopes.label(scopes.parse(text)) if text else ""


@register.filter
def source_text(source: str) -> str:
    return _SOURCES.get(source, source)


@register.filter
def app_name(app: ConnectedApp) -> str:
    """The app as its owner knows it."""
    return "You, in the console" if app.is_console else app.name


@register.simple_tag
def when(value: datetime | None, missing: str = "") -> SafeString | str:
    """How long ago or how soon; the exact time is on hover."""
    if value is None:
        return missing
    return _time(value, relative(value, timezone.now()), moving=True)


def brief_time(value: datetime, now: datetime) -> SafeString:
    """As ``when`` for the rows of long lists, at half the weight: app.js adds the exact time when it is pointed at."""
    exact = value.astimezone(UTC)
    return SafeString(f"<time datetime={exact:%Y-%m-%dT%H:%M:%SZ}>{relative(value, now)}</time>")


@register.simple_tag
def moment(value: datetime | None, missing: str = "") -> SafeString | str:
    """In the viewer's zone: ``16:04:05`` today, ``30 Nov 16:04`` another day, with the year if that is another."""
    if value is None:
        return missing
    here, now = timezone.localtime(value), timezone.localtime()
    if here.date() == now.date():
        words = f"{here:%H:%M:%S}"
    else:
        words = f"{here.day} {here:%b %H:%M}" if here.year == now.year else f"{here.day} {here:%b %Y %H:%M}"
    return _time(value, words, moving=False)


@register.simple_tag
def exactly(value: datetime) -> SafeString:
    """To the millisecond, in the viewer's zone and with its name."""
    here = timezone.localtime(value)
    words = f"{here.day} {here:%b %Y %H:%M:%S}.{here.microsecond // 1000:03d} {zone_name(here)}"
    return _time(value, words, moving=False)


@register.simple_tag
def clock_zone() -> str:
    """The name of the zone that times on this page are in now: ``CET``, ``UTC``."""
    return zone_name(timezone.localtime())


def zone_name(here: datetime) -> str:
    """``CET``; ``UTC+03`` where the zone has no name of its own."""
    name = here.tzname() or "UTC"
    return f"UTC{name}" if name.startswith(("+", "-")) else name


def _time(value: datetime, words: str, *, moving: bool) -> SafeString:
    exact, here = value.astimezone(UTC), timezone.localtime(value)
    local = "" if here.utcoffset() == timedelta() else f" ({here:%H:%M:%S} {zone_name(here)})"
    return format_html(
        '<time datetime="{}" title="{} UTC{}"{}>{}</time>',
        exact.isoformat(timespec="milliseconds"),
        f"{exact:%Y-%m-%d %H:%M:%S}",
        local,
        SafeString(" data-relative") if moving else "",
        words,
    )


_ROUNDING = 1.02
"""What was set to end in 24 hours still reads "in 1 day" some minutes later, not "in 23 h"."""


def relative(value: datetime, now: datetime) -> str:
    """``2 min ago``, ``in 3 days``; a date of the viewer's zone beyond thirty days. app.js has the same words."""
    ago = now - value
    span = abs(ago)
    if span >= timedelta(days=30):
        value = timezone.localtime(value)
        return f"{value.day} {value:%b %Y}"
    if span < timedelta(seconds=10):
        return "just now"
    seconds = int(span.total_seconds() * (1 if ago > timedelta() else _ROUNDING))
    if seconds < 60:
        words = f"{seconds} s"
    elif seconds < 3600:
        words = f"{seconds // 60} min"
    elif seconds < 86400:
        words = f"{seconds // 3600} h"
    else:
        words = "1 day" if seconds < 2 * 86400 else f"{seconds // 86400} days"
    return f"{words} ago" if ago > timedelta() else f"in {words}"
