from django.urls import path

from console.signals import views

app_name = "signals"
urlpatterns = [
    path("", views.list_, name="list"),
    path("new/", views.new, name="new"),
    path("in/<str:part>", views.receive, name="receive"),
    path("<str:public_id>/", views.detail, name="detail"),
]
