from django.urls import path

from console.practice import views

app_name = "practice"
urlpatterns = [
    path("", views.list_, name="list"),
    path("new/", views.new, name="new"),
    path("<str:account_id>/reset/", views.reset, name="reset"),
    path("<str:account_id>/model/", views.model, name="model"),
]
