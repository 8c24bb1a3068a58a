from django.urls import path

from console.alerts import views

app_name = "alerts"
urlpatterns = [path("", views.list_, name="list")]
