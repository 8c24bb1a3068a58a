from django.urls import path

from console.keys import views

app_name = "keys"
urlpatterns = [
    path("", views.list_, name="list"),
    path("new/", views.new, name="new"),
    path("leaked/", views.report_leaked, name="leaked"),
    path("<str:public_id>/revoke/", views.revoke, name="revoke"),
    path("<str:public_id>/rotate/", views.rotate, name="rotate"),
    path("<str:public_id>/activity/", views.traced, name="traced"),
    path("manage/new/", views.new_management, name="new-management"),
    path("manage/<str:public_id>/revoke/", views.revoke_management, name="revoke-management"),
]
