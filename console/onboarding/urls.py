from django.urls import path

from console.onboarding import views

urlpatterns = [
    path("connect/", views.connect, name="connect"),
    path("connect/heard/", views.heard, name="heard"),
    path("connect/tradelatch.mcpb", views.desktop_bundle, name="desktop-bundle"),
    path("connect/server.json", views.server_json, name="server-json"),
    path("connect/<slug:slug>/", views.guide, name="guide"),
    path("playground/", views.play, name="playground"),
    path("playground/start/", views.start, name="playground-start"),
    path("playground/stop/", views.stop, name="playground-stop"),
]
