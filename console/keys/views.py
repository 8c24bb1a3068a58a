from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from console.accounts import once
from console.accounts.current import user_of
from console.accounts.models import User
from console.audit import reads
from console.keys import minting
from console.keys.forms import KeyForm
from console.keys.models import ApiKey
from console.onboarding import home


def _own(user: User) -> QuerySet[ApiKey]:
    return ApiKey.objects.filter(app__owner=user).select_related("app__connection")


@require_safe
def list_(request: HttpRequest) -> HttpResponse:
    keys, now = _own(user_of(request)), timezone.now()
    ended = Q(revoked_at__isnull=False) | Q(app__revoked_at__isnull=False) | Q(expires_at__lte=now)
    context = {
        "keys": keys.exclude(ended),
        "ended": keys.filter(ended)[:100],
        "has_connection": home.connections(user_of(request)).exists(),
        "now": now,
    }
    return render(request, "keys/list.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    chosen = {"connection": request.GET["connection"]} if "connection" in request.GET else {}
    form = KeyForm(request.POST or None, owner=user, initial=chosen)
    if request.method == "POST" and not once.unused(request):
        messages.info(request, "This form was sent before. A key is shown only once; you can make another.")
        return redirect("keys:list")
    if request.method == "POST" and form.is_valid():
        key, raw = minting.mint(
            user,
            form.cleaned_data["connection"],
            form.granted,
            name=form.cleaned_data["name"],
            expires_at=form.expires_at,
        )
        once.use(request)
        return render(request, "keys/made.html", {"key": key, "raw": raw, "connection": key.app.connection})
    context = {
        "form": form,
        "has_connection": home.connections(user).exists(),
        "once": request.POST.get("once") or once.issue(request),
    }
    return render(request, "keys/new.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def revoke(request: HttpRequest, public_id: str) -> HttpResponse:
    key = get_object_or_404(_own(user_of(request)), public_id=public_id)
    if request.method == "POST":
        if minting.revoke(key, by=user_of(request)):
            messages.success(request, f"The key {key.hint} of {key.app.name} no longer works.")
        return redirect("keys:list")
    last_hour = reads.last_hour([key.app_id]).get(key.app_id, 0)
    others = key.app.api_keys.filter(revoked_at=None).exclude(pk=key.pk).count()
    return render(request, "keys/revoke.html", {"key": key, "last_hour": last_hour, "others": others})
