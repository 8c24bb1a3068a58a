from django.urls import path

from console.alerts import views

app_name = "alerts"
urlpatterns = [
    path("", views.list_, name="list"),
    path("new/", views.new, name="new"),
    path("<str:alert_id>/", views.detail, name="detail"),
    path("<str:alert_id>/cancel/", views.cancel, name="cancel"),
]
