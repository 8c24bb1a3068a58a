from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from console.accounts.current import user_of
from console.onboarding import home as facts

_LOCAL = {"localhost", "127.0.0.1", "::1"}


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    apps, waiting = list(facts.apps(user)), list(facts.waiting(user)[:10])
    reached = {app.connection_id for app in apps if app.connection.closed_at is None}
    context = {
        "summary": facts.sentence(len(apps), len(reached), len(waiting)),
        "connections": facts.connections(user),
        "apps": apps[:6],
        "more_apps": max(0, len(apps) - 6),
        "waiting": waiting,
        "is_local": urlsplit(settings.PUBLIC_URL).hostname in _LOCAL,
    }
    return render(request, "onboarding/home.html", context)
