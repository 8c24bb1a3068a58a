from django.urls import path

from console.connections import views

app_name = "connections"
urlpatterns = [
    path("", views.list_, name="list"),
    path("add/", views.add, name="add"),
    path("add/<slug:slug>/", views.link, name="link"),
    path("<int:pk>/", views.detail, name="detail"),
    path("<int:pk>/check/", views.check, name="check"),
    path("<int:pk>/key/", views.replace_key, name="replace-key"),
    path("<int:pk>/unlink/", views.unlink, name="unlink"),
    path("<int:pk>/pause/", views.pause, name="pause"),
    path("<int:pk>/resume/", views.resume, name="resume"),
    path("<int:pk>/trading-on/", views.enable_trading, name="trading-on"),
    path("<int:pk>/trading-off/", views.disable_trading, name="trading-off"),
    path("<int:pk>/limits/", views.limits, name="limits"),
    path("<int:pk>/policy/", views.policy, name="policy"),
    path("<int:pk>/approval-wait/", views.approval_wait, name="approval-wait"),
    path("<int:pk>/confirmation-delay/", views.confirmation_delay, name="confirmation-delay"),
]
