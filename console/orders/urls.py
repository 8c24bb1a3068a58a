from django.urls import path

from console.orders import views

app_name = "orders"
urlpatterns = [
    path("", views.list_, name="list"),
    path("<str:public_id>/", views.detail, name="detail"),
    path("<str:public_id>/settle/", views.settle, name="settle"),
]
