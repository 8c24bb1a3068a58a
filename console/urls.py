from django.conf import settings
from django.urls import URLPattern, URLResolver, include, path

from console.oauth.urls import AT_THE_ROOT
from console.platforms.urls import KEY_SET

handler500 = "console.middleware.answer_failure"
_pages: list[URLPattern | URLResolver] = [
    path("", include("console.platforms.urls")),
    path("", include("console.oauth.urls")),
    path("", include("console.desk.urls")),
    path("", include("console.onboarding.urls")),
    path("skills/", include("console.skills.urls")),
    path("", include("console.accounts.urls")),
    path("help/", include("console.help.urls")),
    path("security/", include("console.security.urls")),
    path("people/", include("console.people.urls")),
    path("operator/", include("console.operator.urls")),
    path("", include("console.journal.urls")),
    path("connections/<int:pk>/practice/", include("console.practice.urls")),
    path("connections/", include("console.connections.urls")),
    path("apps/", include("console.connected_apps.urls")),
    path("halts/", include("console.halts.urls")),
    path("alerts/", include("console.alerts.urls")),
    path("signals/", include("console.signals.urls")),
    path("keys/", include("console.keys.urls")),
    path("clients/", include("console.clients.urls")),
    path("orders/", include("console.orders.urls")),
    path("plans/", include("console.plans.urls")),
    path("", include("console.notifications.urls")),
    path("", include("console.timeline.urls")),
    path("", include("console.audit.urls")),
    path("errors/", include("console.recent_errors.urls")),
    path("", include("console.api.urls")),
]
urlpatterns = (
    [path(f"{settings.BASE_PATH[1:]}/", include(_pages)), KEY_SET, *AT_THE_ROOT] if settings.BASE_PATH else _pages
)
