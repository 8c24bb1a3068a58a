from django.urls import include, path

from console.audit import views

_activity = (
    [
        path("", views.activity, name="list"),
        path("<str:request_id>/", views.call, name="call"),
    ],
    "activity",
)

urlpatterns = [
    path("activity/", include(_activity)),
]
