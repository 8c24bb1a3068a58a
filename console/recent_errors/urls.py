from django.urls import path

from console.recent_errors import views

urlpatterns = [
    path("", views.list_, name="errors"),
    path("export.csv", views.export, name="errors-export"),
    path("<int:pk>/", views.group, name="error-group"),
    path("<int:pk>/resolve/", views.resolve, name="error-resolve"),
    path("<int:pk>/reopen/", views.reopen, name="error-reopen"),
    path("<int:pk>/mute/", views.mute, name="error-mute"),
]
