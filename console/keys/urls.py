from django.urls import path

from console.keys import views

app_name = "keys"
urlpatterns = [
    path("", views.list_, name="list"),
    path("new/", views.new, name="new"),
    path("<str:public_id>/revoke/", views.revoke, name="revoke"),
]
