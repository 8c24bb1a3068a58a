from django.contrib import messages
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.accounts import presence, single_submit
from console.accounts.models import User
from console.accounts.presence import PresenceAct
from console.accounts.request_user import user_of
from console.clients import registration
from console.clients.forms import ClientForm
from console.clients.models import Client, ClientKind, ReviewState
from console.connected_apps import grants
from console.errors import Refusal
from console.scopes import Scope

_CONNECTED = Q(connected_apps__revoked_at=None, connected_apps__activated_at__isnull=False)


def _own(user: User) -> QuerySet[Client]:
    return Client.objects.filter(user=user, kind=ClientKind.STATIC, deleted_at=None).annotate(
        apps=Count("connected_apps", filter=_CONNECTED)
    )


@require_safe
def list_(request: HttpRequest) -> HttpResponse:
    return render(request, "clients/list.html", {"clients": _own(user_of(request)).order_by("name", "pk")})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    form = ClientForm(request.POST or None)
    if request.method == "POST" and not single_submit.is_unused(request):
        messages.info(request, "This form was already sent. A secret is shown only once.")
        return redirect("clients:list")
    if request.method == "POST" and form.is_valid():
        if Scope.TRADE in form.scopes:
            about = f"{form.cleaned_data['name']} can ask people here for access to trade."
            proved = presence.require_proof(
                request, PresenceAct.REGISTER_CLIENT, about=about, back=reverse("clients:list")
            )
            if isinstance(proved, HttpResponse):
                return proved
        try:
            client, secret = registration.register_static(
                user_of(request),
                name=form.cleaned_data["name"],
                redirect_uris=form.addresses,
                scopes=form.scopes,
                confidential=form.cleaned_data["confidential"],
            )
        except Refusal as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        else:
            single_submit.use_token(request)
            return render(request, "clients/made.html", {"client": client, "secret": secret})
    token = request.POST.get("once") or single_submit.issue_token(request)
    return render(request, "clients/new.html", {"form": form, "once": token})


@require_safe
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    return render(request, "clients/detail.html", {"client": get_object_or_404(_own(user_of(request)), pk=pk)})


@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    client = get_object_or_404(_own(user_of(request)), pk=pk)
    if request.method == "POST":
        grants.delete_client(client, by=user_of(request))
        messages.success(request, f"{client.name} is deleted. Nobody can sign in through it any more.")
        return redirect("clients:list")
    return render(request, "clients/delete.html", {"client": client})


def _reviewer(request: HttpRequest) -> User:
    """The operator who asks. Nobody else learns that the page exists."""
    user = user_of(request)
    if not user.is_operator:
        raise Http404
    return user


@require_safe
def review(request: HttpRequest) -> HttpResponse:
    _reviewer(request)
    named = Client.objects.filter(deleted_at=None)
    waiting = named.filter(review=ReviewState.WAITING).order_by("created")
    decided = named.filter(review__in=(ReviewState.ACCEPTED, ReviewState.REFUSED)).order_by("-reviewed_at")[:50]
    return render(request, "clients/review.html", {"waiting": waiting, "decided": decided})


@never_cache
@require_POST
def accept(request: HttpRequest, pk: int) -> HttpResponse:
    operator = _reviewer(request)
    client = get_object_or_404(Client, pk=pk, deleted_at=None)
    about = f"People here can connect the app that calls itself {client.name}."
    proved = presence.require_proof(request, PresenceAct.ACCEPT_CLIENT, about=about, back=reverse("clients:review"))
    if isinstance(proved, HttpResponse):
        return proved
    if registration.accept(client, by=operator, seen=request.POST.get("seen", "")):
        messages.success(request, f"{client.name} is accepted. People can now connect it.")
    else:
        messages.error(request, f"{client.name} changed while the page was open, or was already decided. Check again.")
    return redirect("clients:review")


@require_POST
def refuse(request: HttpRequest, pk: int) -> HttpResponse:
    operator = _reviewer(request)
    client = get_object_or_404(Client.objects.exclude(kind=ClientKind.STATIC), pk=pk, deleted_at=None)
    if grants.refuse_client(client, by=operator):
        messages.success(request, f"{client.name} is refused. Nobody can sign in through it.")
    return redirect("clients:review")
