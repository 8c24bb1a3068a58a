"""Pages of the timeline: the list and what keeps it up to date, one entry, exports, one order replayed, the search."""

import hashlib
import json
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_cache_control
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from brokers.compiled_queries import Instances, Statement
from console.accounts.request_user import user_of
from console.audit import queries as call_queries
from console.audit.models import Verification
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.errors import Code, Refusal, explanation_of
from console.file_responses import csv_response, ndjson_response
from console.onboarding import context as menu
from console.scopes import Source
from console.timeline import copies, entries, exports, replay, saved_views, search, stream
from console.timeline.entries import EntryPosition
from console.timeline.filters import KIND_LABELS, NAMES, NOT, OUTCOME_LABELS, EntryOutcome, Kind, parse
from console.timeline.forms import SavedViewForm
from console.timeline.models import SavedView, ViewPage
from console.timeline.sources import SOURCES, Viewer

_CHOICES_SHOWN = 100
_SPANS = (
    ("", "Any time"),
    ("1h", "Last hour"),
    ("24h", "Last 24 hours"),
    ("7d", "Last 7 days"),
    ("30d", "Last 30 days"),
)
_IN_FORM = ("kind", "outcome", "tool", "symbol", "app", "connection", "code", "from")


def _viewer(request: HttpRequest) -> Viewer:
    user = user_of(request)
    return Viewer.of(user, everyone=call_queries.sees_everyone(request, user))


def _asked(query: QueryDict, viewer: Viewer) -> QueryDict:
    """The query without where its page begins: what every link of the page carries on."""
    kept = query.copy()
    for name in ("before", "after", "part", saved_views.WHOLE):
        kept.pop(name, None)
    if not viewer.everyone:
        kept.pop("everyone", None)
    for name in [name for name in kept if not any(kept.getlist(name))]:
        del kept[name]
    return kept


@require_safe
def list_(request: HttpRequest) -> HttpResponse:
    viewer, now = _viewer(request), timezone.now()
    if default := saved_views.default_query(viewer.user, ViewPage.TIMELINE, request.GET):
        return redirect(f"{request.path}?{default}")
    filters = parse(request.GET, now)
    asked = _asked(request.GET, viewer)
    names = {"app": _apps(viewer), "connection": _connections(viewer)}
    context: dict[str, Any] = {
        "filters": filters,
        "everyone": viewer.everyone,
        "query": asked.urlencode(),
        "chips": _chips(asked, names),
        "form": _form(request.GET, names),
        "kept": [(name, value) for name in asked if name not in _IN_FORM for value in asked.getlist(name)],
        "kept_for": _kept_for(),
        "verified": _VERIFIED.first(),
        "oldest": None if filters.is_active or "before" in request.GET else stream.oldest(viewer),
    }
    if not filters.problems:
        before = stream.parse_mark(request.GET.get("before", ""))
        found = stream.page(filters, viewer, before=before)
        newest = found.entries[0].position if found.entries else EntryPosition(at=now, rank=0, id=0)
        context |= {
            "page": found,
            "is_first": before is None,
            "following": stream.mark(found.following) if found.following else "",
            "newest": stream.mark(newest),
        }
    return render(request, "timeline/list.html", context, status=400 if filters.problems else 200)


def _kept_for() -> str:
    names = {"calls": "Calls", "changes": "changes and sign-ins", "letters": "e-mails"}
    kept = [
        f"{name} are kept for {days} days" if (days := settings.KEEP_DAYS[key]) else f"{name} are never deleted"
        for key, name in names.items()
    ]
    return f"{', '.join(kept)}; {_steps()}orders are never deleted."


def _steps() -> str:
    days = settings.KEEP_DAYS["order_events"]
    return f"steps of orders that ended are kept for {days} days; " if days else ""


@require_safe
def new(request: HttpRequest) -> HttpResponse:
    """How many entries came since the page was read: asked for every few seconds, answered with 304 while it is so."""
    viewer = _viewer(request)
    filters = parse(request.GET, timezone.now())
    after = stream.parse_mark(request.GET.get("after", ""))
    if filters.problems or after is None:
        return HttpResponse(status=400)
    count = stream.count_new(filters, viewer, after)
    seen = f"{count}:{request.META['QUERY_STRING']}"
    tag = f'"{hashlib.sha256(seen.encode()).hexdigest()[:20]}"'
    if request.headers.get("If-None-Match") == tag:
        response = HttpResponse(status=304)
    else:
        said = f"{stream.MOST_NEW}+" if count > stream.MOST_NEW else str(count)
        asked = _asked(request.GET, viewer).urlencode()
        response = render(request, "timeline/new.html", {"count": count, "said": said, "query": asked})
    response["ETag"] = tag
    patch_cache_control(response, private=True, no_cache=True)
    return response


@require_safe
def counts(request: HttpRequest) -> HttpResponse:
    viewer = _viewer(request)
    filters = parse(request.GET, timezone.now())
    asked = _asked(request.GET, viewer)
    context: dict[str, Any] = {"filters": filters, "query": asked.urlencode(), "everyone": viewer.everyone}
    if not filters.problems:
        found = stream.facets(filters, viewer)
        context |= {
            "counted_back_to": found.counted_back_to,
            "counted": stream.COUNTED,
            "facets": [
                (
                    facet.name,
                    [
                        (
                            _value_label(facet.name, value, label),
                            f"{stream.COUNTED:,}+" if count >= stream.COUNTED else str(count),
                            _with(asked, facet.name, value),
                            _with(asked, NOT + facet.name, value),
                        )
                        for value, label, count in facet.values
                    ],
                )
                for facet in found.facets
            ],
        }
    template = "timeline/counts_part.html" if "part" in request.GET else "timeline/counts.html"
    return render(request, template, context, status=400 if filters.problems else 200)


def _value_label(name: str, value: str, label: str = "") -> str:
    if name == "kind" and value in set(Kind):
        return KIND_LABELS[Kind(value)]
    if name == "outcome" and value in set(EntryOutcome):
        return OUTCOME_LABELS[EntryOutcome(value)]
    return label or value


def _with(asked: QueryDict, name: str, value: str) -> str:
    made = asked.copy()
    if value not in made.getlist(name):
        made.appendlist(name, value)
    return made.urlencode()


Choices = list[tuple[str, str]]


def _chips(asked: QueryDict, named: dict[str, Choices]) -> list[dict[str, str]]:
    """Each filter that is on: in words, and the addresses without it and turned round."""
    names = {name: dict(choices) for name, choices in named.items()}
    chips = []
    for name in asked:
        bare = name.removeprefix(NOT)
        if bare not in NAMES:
            continue
        for value in asked.getlist(name):
            if not value:
                continue
            rest = asked.copy()
            rest.setlist(name, [each for each in asked.getlist(name) if each != value])
            turned = rest.copy()
            turned.appendlist(bare if bare != name else NOT + bare, value)
            label = _value_label(bare, value, names.get(bare, {}).get(value, ""))
            chips.append(
                {
                    "text": f"{bare.replace('_', ' ').capitalize()}{' is not' if bare != name else ''} {label}",
                    "without": rest.urlencode(),
                    "turned": turned.urlencode(),
                    "turned_text": "Only these" if bare != name else "All but these",
                }
            )
    return chips


def _newest(found: QuerySet[Any]) -> QuerySet[Any, tuple[Any, ...]]:
    return found.order_by("-id").values_list("pk", "name")[:_CHOICES_SHOWN]


_EVERY_APP = Statement(lambda: _newest(ConnectedApp.objects.exclude(source=Source.CONSOLE)))
_OWN_APPS = Statement(
    lambda owner_id: _newest(ConnectedApp.objects.filter(owner_id=owner_id).exclude(source=Source.CONSOLE))
)
_EVERY_CONNECTION = Statement(lambda: _newest(Connection.objects.all()))
_OWN_CONNECTIONS = Statement(lambda owner_id: _newest(Connection.objects.filter(owner_id=owner_id)))
_VERIFIED = Instances(lambda: Verification.objects.order_by("-at")[:1])


def _apps(viewer: Viewer) -> Choices:
    found = _EVERY_APP.rows() if viewer.everyone else _OWN_APPS.rows(viewer.user.pk)
    return [(str(pk), name) for pk, name in found]


def _connections(viewer: Viewer) -> Choices:
    found = _EVERY_CONNECTION.rows() if viewer.everyone else _OWN_CONNECTIONS.rows(viewer.user.pk)
    return [(str(pk), name) for pk, name in found]


def _form(query: QueryDict, named: dict[str, Choices]) -> dict[str, Any]:
    spans = list(_SPANS)
    since = query.get("from", "")
    if since not in dict(spans):
        spans.append((since, f"Since {since}"))
    return {
        "selects": [
            _select("from", "Time", spans, query),
            _select("kind", "Kind", [("", "Any"), *((kind.value, KIND_LABELS[kind]) for kind in Kind)], query),
            _select(
                "outcome",
                "Result",
                [("", "Any"), *((each.value, OUTCOME_LABELS[each]) for each in EntryOutcome)],
                query,
            ),
            _select("app", "App", [("", "Any"), *named["app"]], query),
            _select("connection", "Connection", [("", "Any"), *named["connection"]], query),
        ],
        "texts": [
            ("tool", "Tool", query.get("tool", "")),
            ("symbol", "Symbol", query.get("symbol", "")),
            ("code", "Code", query.get("code", "")),
        ],
    }


def _select(name: str, label: str, choices: Choices, query: QueryDict) -> tuple[str, str, list[tuple[str, str, bool]]]:
    """Its choices, and whether each is chosen; a value that the list does not have stays chosen."""
    chosen = query.get(name, "")
    if chosen not in dict(choices):
        choices = [*choices, (chosen, chosen)]
    return name, label, [(value, words, value == chosen) for value, words in choices]


# -- one entry -----------------------------------------------------------------------------------------------


@require_safe
def entry(request: HttpRequest, source: str, pk: int) -> HttpResponse:
    """In full: a page, and with ``part`` what opens beneath a row. Whoever may not see it finds nothing."""
    user = user_of(request)
    viewer = Viewer.of(user, everyone=True)
    known = {each.name: each for each in SOURCES}
    if source not in known:
        raise Http404
    row = get_object_or_404(known[source].visible(viewer), pk=pk)
    [found] = entries.with_orders([known[source].entry(row, known[source].rank)], user)
    context = {
        "entry": found,
        "own": found.person_id == user.pk,
        "json": copies.as_json(found),
        "explanation": explanation_of(found.code) if found.code else None,
    }
    template = "timeline/entry_part.html" if "part" in request.GET else "timeline/entry.html"
    return render(request, template, context)


@require_safe
def replay_order(request: HttpRequest, public_id: str) -> HttpResponse:
    found = replay.replay(user_of(request), public_id)
    if found is None:
        raise Http404
    arguments = json.dumps(found.asked.arguments, indent=2, ensure_ascii=False) if found.asked else ""
    steps = [
        (step, json.dumps(step.data, indent=2, ensure_ascii=False, default=str) if step.data else "")
        for step in found.broker
    ]
    context = {"replay": found, "order": found.order, "arguments": arguments, "broker_steps": steps}
    return render(request, "timeline/replay.html", context)


# -- exports -------------------------------------------------------------------------------------------------


@require_POST
def export(request: HttpRequest, form: str) -> HttpResponseBase:
    """Everything the filters of the address fit, as it is read."""
    if form not in exports.FORMATS:
        raise Http404
    viewer, now = _viewer(request), timezone.now()
    filters = parse(request.GET, now)
    asked = _asked(request.GET, viewer).urlencode()
    back = f"{reverse('timeline:list')}?{asked}"
    if filters.problems:
        return redirect(back)
    try:
        found = exports.begin(viewer, filters, asked, form)
    except Refusal as refusal:
        messages.error(request, str(refusal))
        return redirect(back)
    name = f"timeline-{now:%Y-%m-%d}"
    if form == "csv":
        return csv_response(request, name, exports.COLUMNS, (exports.cells(each) for each in exports.rows(found)))
    return ndjson_response(request, name, exports.rows(found))


# -- saved views ---------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
def saved(request: HttpRequest, page: str) -> HttpResponse:
    """The views of one page, to change; posted to, one more of them."""
    if page not in ViewPage:
        raise Http404
    of, user = ViewPage(page), user_of(request)
    if request.method == "POST":
        form, query = SavedViewForm(request.POST), request.POST.get("query", "")
        try:
            view = saved_views.save(user, of, name=_name(form), query=query)
        except Refusal as refusal:
            messages.error(request, str(refusal))
            return redirect(f"{_address(of)}?{saved_views.filter_of(of, QueryDict(query)) or 'all=1'}")
        messages.success(request, f"Saved as {view.name}.")
        return redirect(f"{_address(of)}?{view.query}")
    context = {"page": of, "views": saved_views.own_views(user, of), "back": _address(of)}
    return render(request, "timeline/views.html", context)


def _name(form: SavedViewForm) -> str:
    """Raises Refusal."""
    if not form.is_valid():
        why = next(iter(form.errors.get("name", [])), "This name cannot be used.")
        raise Refusal(Code.INVALID_ARGUMENT, f"Name: {why}", field="name")
    name: str = form.cleaned_data["name"]
    return name


def _address(page: ViewPage) -> str:
    lists = {ViewPage.TIMELINE: "timeline:list", ViewPage.ORDERS: "orders:list", ViewPage.ERRORS: "errors"}
    return reverse(lists[page])


@require_POST
def change_saved(request: HttpRequest, pk: int) -> HttpResponse:
    view = get_object_or_404(SavedView, pk=pk, owner=user_of(request))
    form = SavedViewForm(request.POST)
    try:
        saved_views.change(view, name=_name(form), is_default=form.cleaned_data["is_default"])
    except Refusal as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, "Saved.")
    return redirect("timeline:views", view.page)


@require_POST
def delete_saved(request: HttpRequest, pk: int) -> HttpResponse:
    view = get_object_or_404(SavedView, pk=pk, owner=user_of(request))
    view.delete()
    messages.success(request, f"Deleted {view.name}.")
    return redirect("timeline:views", view.page)


# -- search --------------------------------------------------------------------------------------------------


@never_cache
@require_safe
def search_box(request: HttpRequest) -> HttpResponse:
    """The results page, which an exact id leaves for its own page; with ``part`` the list beneath the box."""
    user = user_of(request)
    typed = request.GET.get("q", "")
    sections = menu.instance(request)["navigation"]
    pages = [(item.label, item.url) for section in sections for item in section.items]
    found = search.search(user, typed, pages)
    is_part = "part" in request.GET
    if found.exact and not is_part:
        return redirect(found.exact)
    context = {
        "found": found,
        "typed": "" if found.has_secret else typed.strip()[: search.LONGEST],
    }
    return render(request, "timeline/search_part.html" if is_part else "timeline/search.html", context)
