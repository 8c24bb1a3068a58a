from django.urls import path, re_path

from console.help import views

app_name = "help"
urlpatterns = [
    path("", views.page, name="contents"),
    path("errors/<slug:code>/", views.error, name="error"),
    re_path(r"^(?P<path>[\w/-]+\.svg)$", views.picture, name="picture"),
    path("<path:slug>/", views.page, name="page"),
]
