from django.urls import path

from console.onboarding import views

urlpatterns = [
    path("", views.home, name="home"),
    path("connect/", views.connect, name="connect"),
    path("connect/<slug:slug>/", views.guide, name="guide"),
    path("playground/", views.play, name="playground"),
    path("playground/start/", views.start, name="playground-start"),
    path("playground/stop/", views.stop, name="playground-stop"),
]
