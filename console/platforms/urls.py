from django.urls import include, path

from console.platforms import api, views

_pages = (
    [
        path("", views.list_, name="list"),
        path("new/", views.new, name="new"),
        path("<str:client_id>/", views.detail, name="detail"),
        path("<str:client_id>/secret/", views.secret, name="secret"),
        path("<str:client_id>/disable/", views.disable, name="disable"),
        path("<str:client_id>/enable/", views.enable, name="enable"),
    ],
    "platforms",
)

KEY_SET = path(".well-known/jwks.json", api.key_set)

urlpatterns = [
    path("platforms/", include(_pages)),
    path("api/v1/platform/users", api.users),
    path("api/v1/platform/users/<str:user_id>", api.user),
    path("api/v1/platform/users/<str:user_id>/secret", api.user_secret),
    path("api/v1/platform/users/<str:user_id>/connections", api.user_connections),
    path("auth/tokens/user", api.token),
    KEY_SET,
]
