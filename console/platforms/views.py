from django.conf import settings
from django.contrib import messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.accounts import presence, single_submit
from console.accounts.presence import PresenceAct
from console.accounts.request_user import operators_only, user_of
from console.audit import paging
from console.platforms import services
from console.platforms.forms import PlatformForm
from console.platforms.models import Platform


def _all() -> QuerySet[Platform]:
    return Platform.objects.select_related("owner").annotate(
        active_users=Count("users", filter=Q(users__disabled_at=None))
    )


@require_safe
@operators_only
def list_(request: HttpRequest) -> HttpResponse:
    return render(request, "platforms/list.html", {"platforms": _all()})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@operators_only
def new(request: HttpRequest) -> HttpResponse:
    form = PlatformForm(request.POST or None)
    if request.method == "POST" and not single_submit.is_unused(request):
        messages.info(request, "This form was already sent. A secret is shown only once.")
        return redirect("platforms:list")
    if request.method == "POST" and form.is_valid():
        about = f"{form.cleaned_data['name']} can create users here and act for them."
        proved = presence.require_proof(request, PresenceAct.ADD_PLATFORM, about=about, back=reverse("platforms:list"))
        if isinstance(proved, HttpResponse):
            return proved
        platform, raw = services.create_platform(user_of(request), name=form.cleaned_data["name"])
        single_submit.use_token(request)
        return _show_secret(request, platform, raw)
    token = request.POST.get("once") or single_submit.issue_token(request)
    return render(request, "platforms/new.html", {"form": form, "once": token})


@require_safe
@operators_only
def detail(request: HttpRequest, client_id: str) -> HttpResponse:
    platform = get_object_or_404(_all(), client_id=client_id)
    page = paging.page(platform.users.select_related("user"), request.GET.get("before", ""))
    return render(request, "platforms/detail.html", {"platform": platform, "page": page})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@operators_only
def secret(request: HttpRequest, client_id: str) -> HttpResponse:
    platform = get_object_or_404(_all(), client_id=client_id)
    if request.method == "POST":
        if not single_submit.is_unused(request):
            messages.info(request, "This form was already sent. A secret is shown only once.")
            return redirect("platforms:detail", client_id)
        about = f"You get a new secret for {platform.name}; the old one stops working."
        back = reverse("platforms:detail", args=[client_id])
        proved = presence.require_proof(request, PresenceAct.CHANGE_PLATFORM_SECRET, about=about, back=back)
        if isinstance(proved, HttpResponse):
            return proved
        raw = services.rotate_platform_secret(platform, by=user_of(request))
        single_submit.use_token(request)
        return _show_secret(request, platform, raw)
    return render(request, "platforms/secret.html", {"platform": platform, "once": single_submit.issue_token(request)})


@require_http_methods(["GET", "HEAD", "POST"])
@operators_only
def disable(request: HttpRequest, client_id: str) -> HttpResponse:
    platform = get_object_or_404(_all(), client_id=client_id)
    if request.method == "POST":
        if services.disable_platform(platform, by=user_of(request)):
            messages.success(request, f"{platform.name} is disabled. Its tokens no longer work.")
        return redirect("platforms:detail", client_id)
    return render(request, "platforms/disable.html", {"platform": platform})


@never_cache
@require_POST
@operators_only
def enable(request: HttpRequest, client_id: str) -> HttpResponse:
    platform = get_object_or_404(_all(), client_id=client_id)
    about = f"{platform.name} can mint tokens for its users again."
    back = reverse("platforms:detail", args=[client_id])
    proved = presence.require_proof(request, PresenceAct.ENABLE_PLATFORM, about=about, back=back)
    if isinstance(proved, HttpResponse):
        return proved
    if services.enable_platform(platform, by=user_of(request)):
        messages.success(request, f"{platform.name} can mint tokens again. Earlier tokens stay invalid.")
    return redirect("platforms:detail", client_id)


def _show_secret(request: HttpRequest, platform: Platform, raw: str) -> HttpResponse:
    context = {"platform": platform, "raw": raw, "token_url": f"{settings.PUBLIC_URL}/auth/tokens/user"}
    return render(request, "platforms/made.html", context)
