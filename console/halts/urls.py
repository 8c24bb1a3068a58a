from django.urls import path

from console.halts import views

app_name = "halts"
urlpatterns = [
    path("", views.list_, name="list"),
    path("everything/", views.everything, name="everything"),
    path("others/", views.others, name="others"),
    path("connection/<int:pk>/", views.connection, name="connection"),
    path("app/<int:pk>/", views.app, name="app"),
    path("<int:pk>/lift/", views.lift, name="lift"),
]
