from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from brokers.decimals import plain
from console.accounts.request_user import user_of
from console.connections import queries as connection_queries
from console.connections.models import Connection
from console.errors import Refusal
from console.practice import services as practice
from console.practice.forms import PRESET_ROWS, AccountForm, ModelForm, ResetForm
from console.practice.services import ModelSettings


@require_safe
def list_(request: HttpRequest, pk: int) -> HttpResponse:
    connection = _own(request, pk)
    shown = {
        "connection": connection,
        "accounts": practice.accounts(connection),
        "coming": practice.upcoming_actions(connection),
    }
    return render(request, "practice/list.html", shown)


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest, pk: int) -> HttpResponse:
    connection, user = _own(request, pk), user_of(request)
    form = AccountForm(request.POST or None, owner=user, currency=connection.currency)
    if request.method == "POST" and form.is_valid():
        asked = form.cleaned_data
        original: Connection | None = asked["clone"]
        try:
            made = practice.open_account(
                connection,
                name=asked["name"],
                by=user,
                cash=asked["cash"],
                preset=asked["preset"],
                clone_of=(original, original.default_account) if original else None,
            )
        except Refusal as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        else:
            words = f"{made.terms.name} is open."
            if made.left_out:
                words += f" The simulated market does not have {', '.join(made.left_out)}: left out."
            messages.success(request, words)
            return redirect("practice:list", connection.pk)
    return render(request, "practice/new.html", {"connection": connection, "form": form, "presets": PRESET_ROWS})


@require_http_methods(["GET", "HEAD", "POST"])
def reset(request: HttpRequest, pk: int, account_id: str) -> HttpResponse:
    connection = _own(request, pk)
    terms = _account(connection, account_id)
    form = ResetForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            done = practice.reset_account(connection, account_id, by=user_of(request), cash=form.cleaned_data["cash"])
        except Refusal as refusal:
            form.add_error(None, str(refusal))
        else:
            started = f"{terms.name} restarted with {plain(done.terms.starting_cash)} {terms.currency}."
            messages.success(request, started)
            return redirect("practice:list", connection.pk)
    return render(request, "practice/reset.html", {"connection": connection, "account": terms, "form": form})


@require_http_methods(["GET", "HEAD", "POST"])
def model(request: HttpRequest, pk: int, account_id: str) -> HttpResponse:
    connection = _own(request, pk)
    terms = _account(connection, account_id)
    form = ModelForm(request.POST or None, terms=terms)
    if request.method == "POST" and form.is_valid():
        asked = form.cleaned_data
        try:
            practice.set_model(
                connection,
                account_id,
                by=user_of(request),
                preset=asked["preset"],
                overrides=form.overrides,
                margin=asked["margin"],
            )
        except Refusal as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(request, f"{terms.name} uses these terms from now on.")
            return redirect("practice:list", connection.pk)
    context = {"connection": connection, "account": terms, "form": form, "presets": PRESET_ROWS}
    return render(request, "practice/model.html", context)


def _own(request: HttpRequest, pk: int) -> Connection:
    connection = get_object_or_404(connection_queries.open_connections(user_of(request)), pk=pk)
    if not practice.can_practise(connection):
        raise Http404
    return connection


def _account(connection: Connection, account_id: str) -> ModelSettings:
    try:
        return practice.account(connection, account_id)
    except Refusal as refusal:
        raise Http404 from refusal
