from django.urls import path

from console.connected_apps import views

app_name = "apps"
urlpatterns = [
    path("", views.list_, name="list"),
    path("<int:pk>/", views.detail, name="detail"),
    path("<int:pk>/revoke/", views.revoke, name="revoke"),
    path("<int:pk>/pause/", views.pause, name="pause"),
    path("<int:pk>/resume/", views.resume, name="resume"),
    path("<int:pk>/narrow/", views.narrow, name="narrow"),
    path("<int:pk>/limits/", views.limits, name="limits"),
    path("<int:pk>/rate/", views.rate, name="rate"),
    path("<int:pk>/toolsets/", views.toolsets, name="toolsets"),
    path("<int:pk>/asking/", views.asking, name="asking"),
]
