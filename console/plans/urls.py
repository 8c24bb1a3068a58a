from django.urls import path

from console.plans import views

app_name = "plans"
urlpatterns = [
    path("", views.list_, name="list"),
    path("<str:public_id>/", views.detail, name="detail"),
    path("<str:public_id>/start/", views.start, name="start"),
    path("<str:public_id>/decline/", views.decline, name="decline"),
    path("<str:public_id>/pause/", views.pause, name="pause"),
    path("<str:public_id>/resume/", views.resume, name="resume"),
    path("<str:public_id>/cancel/", views.cancel, name="cancel"),
]
