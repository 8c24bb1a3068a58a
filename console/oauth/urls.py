"""Addresses of the authorization server. The names and the namespace are the ones the toolkit reverses."""

import re

from django.conf import settings
from django.urls import path, re_path

from console.oauth import views

app_name = "oauth2_provider"

_BASE = re.escape(settings.BASE_PATH)
AT_THE_ROOT = [
    re_path(rf"^\.well-known/oauth-protected-resource(?:{_BASE})?(?:/mcp)?/?$", views.protected_resource_metadata),
    re_path(rf"^\.well-known/oauth-authorization-server(?:{_BASE})?(?:/mcp)?/?$", views.authorization_server_metadata),
    re_path(r"^\.well-known/", views.not_found),
]
"""Of the host, where this instance has a path of it."""

urlpatterns = [
    re_path(
        r"^\.well-known/oauth-protected-resource(?:/mcp)?/?$",
        views.protected_resource_metadata,
        name="oauth-resource-metadata",
    ),
    re_path(
        r"^\.well-known/oauth-authorization-server(?:/mcp)?/?$",
        views.authorization_server_metadata,
        name="oauth-server-metadata",
    ),
    re_path(r"^\.well-known/", views.not_found),
    path("oauth/authorize", views.authorize, name="authorize"),
    path("oauth/consent/<str:handle>", views.consent, name="consent"),
    path("oauth/token", views.token, name="token"),
    path("oauth/revoke", views.revoke, name="revoke-token"),
    path("oauth/register", views.register_client, name="dcr-register"),
    path("oauth/register/<str:client_id>", views.manage_client, name="dcr-register-management"),
]
