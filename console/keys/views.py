from django.contrib import messages
from django.db.models import Count, Max, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_safe

from console.accounts import presence, single_submit
from console.accounts.models import User
from console.accounts.presence import PresenceAct
from console.accounts.request_user import user_of
from console.audit import paging
from console.audit import queries as call_queries
from console.clients.models import Client
from console.connected_apps.views import calls_chart
from console.connections import queries as connection_queries
from console.errors import Refusal
from console.keys import badges, leaked, management_keys, minting
from console.keys.forms import KeyForm, LeakedForm, ManagementKeyForm, RevokeForm, RotateForm
from console.keys.models import ApiKey, ManagementKey
from console.onboarding import home
from console.recent_errors import queries as call_counts
from console.recent_errors import rollup
from console.scopes import Scope

_SHOWN = 100


def _own(user: User) -> QuerySet[ApiKey]:
    return ApiKey.objects.filter(app__owner=user).select_related("app__connection", "replaced_by", "made_by")


def _managing(user: User) -> QuerySet[ManagementKey]:
    return ManagementKey.objects.filter(owner=user)


@require_safe
def list_(request: HttpRequest) -> HttpResponse:
    user, now = user_of(request), timezone.now()
    over = Q(revoked_at__isnull=False) | Q(expires_at__lte=now)
    ended = over | Q(app__revoked_at__isnull=False)
    # The secrets of one app stand together, the newest first.
    keys = list(_own(user).exclude(ended).order_by("-app_id", "-id"))
    managing = list(_managing(user).exclude(over))
    rollup.catch_up()
    counts = call_counts.calls_of_keys(key.public_id for key in (*keys, *managing))
    uses = call_counts.uses_of_keys(key.public_id for key in keys)
    made: dict[int | None, list[ApiKey]] = {}
    for key in keys:
        made.setdefault(key.made_by_id, []).append(key)
    context = {
        "rows": [(key, badges.badges(key, now), counts[key.public_id], uses.get(key.public_id)) for key in keys],
        "ended": _own(user).filter(ended)[:_SHOWN],
        "managing": [(key, badges.badges(key, now), made.get(key.pk, []), counts[key.public_id]) for key in managing],
        "managing_ended": _managing(user).filter(over)[:_SHOWN],
        "has_connection": connection_queries.open_connections(user).exists(),
    }
    return render(request, "keys/list.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    chosen = {"connection": request.GET["connection"]} if "connection" in request.GET else {}
    form = KeyForm(request.POST or None, owner=user, initial=chosen)
    if request.method == "POST" and not single_submit.is_unused(request):
        messages.info(request, "This form was already sent. A key is shown only once; you can make another.")
        return redirect("keys:list")
    if request.method == "POST" and form.is_valid():
        connection = form.cleaned_data["connection"]
        if Scope.TRADE in form.granted:
            proved = presence.require_proof(
                request,
                PresenceAct.MINT_KEY,
                about=f"Anyone with the key {form.cleaned_data['name']} can read {connection.name} and prepare "
                "orders there.",
                back=reverse("keys:list"),
                live=connection.is_live,
                environment=connection.environment,
            )
            if isinstance(proved, HttpResponse):
                return proved
        key, raw = minting.mint(
            user,
            connection,
            form.granted,
            name=form.cleaned_data["name"],
            expires_at=form.expires_at,
            note=form.cleaned_data["note"],
            networks=form.cleaned_data["networks"],
            never_reason=form.cleaned_data["never_reason"],
            start=form.start,
        )
        single_submit.use_token(request)
        return render(request, "keys/made.html", {"key": key, "raw": raw, "connection": key.app.connection})
    context = {
        "form": form,
        "has_connection": connection_queries.open_connections(user).exists(),
        "once": request.POST.get("once") or single_submit.issue_token(request),
    }
    return render(request, "keys/new.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def new_management(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    form = ManagementKeyForm(request.POST or None)
    if request.method == "POST" and not single_submit.is_unused(request):
        messages.info(request, "This form was already sent. A key is shown only once; you can make another.")
        return redirect("keys:list")
    if request.method == "POST" and form.is_valid():
        proved = presence.require_proof(
            request,
            PresenceAct.MINT_MANAGEMENT_KEY,
            about=f"Anyone with the key {form.cleaned_data['name']} can manage your connections, keys and apps over "
            "the REST API.",
            back=reverse("keys:list"),
            live=home.has_live(user),
        )
        if isinstance(proved, HttpResponse):
            return proved
        key, raw = management_keys.mint(
            user,
            name=form.cleaned_data["name"],
            expires_at=form.expires_at,
            note=form.cleaned_data["note"],
            networks=form.cleaned_data["networks"],
            never_reason=form.cleaned_data["never_reason"],
            makes_trade_keys=form.cleaned_data["makes_trade_keys"],
        )
        single_submit.use_token(request)
        return render(request, "keys/made_management.html", {"key": key, "raw": raw})
    token = request.POST.get("once") or single_submit.issue_token(request)
    return render(request, "keys/new_management.html", {"form": form, "once": token})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def rotate(request: HttpRequest, public_id: str) -> HttpResponse:
    usable = _own(user_of(request)).filter(revoked_at=None, app__revoked_at=None, replaced_by=None)
    sent_before = request.method == "POST" and not single_submit.is_unused(request)
    if sent_before:
        messages.info(request, "This form was already sent. A key is shown only once; you can make another.")
        return redirect("keys:list")
    key = get_object_or_404(usable.exclude(expires_at__lte=timezone.now()), public_id=public_id)
    form = RotateForm(request.POST or None, key=key)
    if request.method == "POST" and form.is_valid():
        connection = key.app.connection
        if key.app.can_trade:
            proved = presence.require_proof(
                request,
                PresenceAct.ROTATE_KEY,
                about=f"{key.app.name} gets another key that can read {connection.name} and prepare orders there.",
                back=reverse("keys:list"),
                live=connection.is_live,
                environment=connection.environment,
            )
            if isinstance(proved, HttpResponse):
                return proved
        try:
            made, raw = minting.rotate(
                key,
                by=user_of(request),
                overlap=form.grace,
                expires_at=form.expires_at,
                note=form.cleaned_data["note"],
                networks=form.cleaned_data["networks"],
                never_reason=form.cleaned_data["never_reason"],
            )
        except Refusal as refusal:
            messages.error(request, str(refusal))
            return redirect("keys:list")
        single_submit.use_token(request)
        context = {"key": made, "raw": raw, "connection": connection, "old": key}
        return render(request, "keys/made.html", context)
    token = request.POST.get("once") or single_submit.issue_token(request)
    return render(request, "keys/rotate.html", {"form": form, "key": key, "once": token})


@require_http_methods(["GET", "HEAD", "POST"])
def revoke(request: HttpRequest, public_id: str) -> HttpResponse:
    key = get_object_or_404(_own(user_of(request)), public_id=public_id)
    if request.method == "POST":
        if minting.revoke(key, by=user_of(request), note=RevokeForm(request.POST).text):
            messages.success(request, f"The key {key.hint} of {key.app.name} no longer works.")
        return redirect("keys:list")
    context = {
        "key": key,
        "form": RevokeForm(),
        "last_hour": call_queries.last_hour_of(key.public_id),
        "others": key.app.api_keys.filter(revoked_at=None).exclude(pk=key.pk).count(),
    }
    return render(request, "keys/revoke.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def revoke_management(request: HttpRequest, public_id: str) -> HttpResponse:
    key = get_object_or_404(_managing(user_of(request)), public_id=public_id)
    if request.method == "POST":
        if management_keys.revoke(key, by=user_of(request), note=RevokeForm(request.POST).text):
            messages.success(request, f"The management key {key.name} no longer works.")
        return redirect("keys:list")
    context = {
        "key": key,
        "form": RevokeForm(),
        "last_hour": call_queries.last_hour_of(key.public_id),
        "made": _key_made_page(key).filter(revoked_at=None),
    }
    return render(request, "keys/revoke_management.html", context)


def _key_made_page(key: ManagementKey) -> QuerySet[ApiKey]:
    return key.made.select_related("app__connection")


@sensitive_post_parameters("pasted")
@sensitive_variables("form")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def report_leaked(request: HttpRequest) -> HttpResponse:
    """The paste goes no further than this function: what follows is an address with the public id alone."""
    form = LeakedForm(request.POST or None)
    unknown = False
    if request.method == "POST" and form.is_valid():
        user = user_of(request)
        key = leaked.find(form.cleaned_data["pasted"], by=user)
        if key is not None:
            if leaked.report(key, by=user):
                messages.success(request, f"{key.hint} is revoked. It no longer works.")
            else:
                messages.info(request, f"{key.hint} was already revoked.")
            return redirect("keys:traced", key.public_id)
        unknown = True
    return render(request, "keys/leaked.html", {"form": form, "unknown": unknown})


@require_safe
def traced(request: HttpRequest, public_id: str) -> HttpResponse:
    """Everything one key did."""
    user = user_of(request)
    key = leaked.by_public_id(public_id, by=user)
    if key is None:
        raise Http404
    calls = call_queries.of_credential(key.public_id)
    rollup.catch_up()
    context = {
        "key": key,
        "owner": leaked.owner_of(key),
        "made": _key_made_page(key) if isinstance(key, ManagementKey) else [],
        "clients": Client.objects.filter(registered_by_key=key.public_id),
        "app": key.app if isinstance(key, ApiKey) else None,
        "label": key.app.name if isinstance(key, ApiKey) else key.name,
        "trace": call_queries.trace(calls),
        "chart": calls_chart(call_counts.calls_of_keys([key.public_id])[key.public_id]),
        "page": paging.page(calls, request.GET.get("before", "")),
        "later": calls.filter(at__gt=key.revoked_at).aggregate(calls=Count("id"), last=Max("at"))
        if key.revoked_at
        else None,
        "ran_out": key.expires_at is not None and key.expires_at <= timezone.now(),
        "everyone": user.is_operator and leaked.owner_of(key).pk != user.pk,
    }
    return render(request, "keys/traced.html", context)
