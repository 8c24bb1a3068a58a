from django.urls import path

from console.people import views

app_name = "people"
urlpatterns = [
    path("", views.list_, name="list"),
    path("invite/", views.invite, name="invite"),
    path("<int:pk>/invite-again/", views.invite_again, name="invite-again"),
    path("<int:pk>/<slug:action>/", views.act, name="act"),
]
