from django.urls import path

from console.orders import views

app_name = "orders"
urlpatterns = [
    path("", views.list_, name="list"),
    path("waiting/", views.waiting, name="waiting"),
    path("elsewhere/<int:pk>/", views.elsewhere, name="elsewhere"),
    path("elsewhere/<int:pk>/cancel/", views.cancel_elsewhere, name="cancel-elsewhere"),
    path("closing/<int:pk>/", views.closing_page, name="closing"),
    path("closing/<int:pk>/prepare/", views.close_everything, name="close-everything"),
    path("closing/<int:pk>/cancel/", views.cancel_everything, name="cancel-everything"),
    path("approvals/", views.approval_list, name="approvals"),
    path("approvals/letters/<int:pk>/", views.letters_on, name="letters"),
    path("approvals/<str:public_id>/", views.approval, name="approval"),
    path("approvals/<str:public_id>/now/", views.now, name="now"),
    path("approvals/<str:public_id>/release/", views.release, name="release"),
    path("approvals/<str:public_id>/reject/", views.reject, name="reject"),
    path("approvals/questions/<str:public_id>/", views.question, name="question"),
    path("approvals/questions/<str:public_id>/yes/", views.say_yes, name="say-yes"),
    path("approvals/questions/<str:public_id>/no/", views.say_no, name="say-no"),
    path("<str:public_id>/", views.detail, name="detail"),
    path("<str:public_id>/cancel/", views.cancel, name="cancel"),
    path("<str:public_id>/settle/", views.settle, name="settle"),
]
