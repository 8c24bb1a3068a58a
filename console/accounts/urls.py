from django.contrib.auth.views import LogoutView
from django.urls import path

from console.accounts import views

urlpatterns = [
    path("sign-in/", views.SignIn.as_view(), name="sign-in"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
    path("re-authenticate/", views.re_authenticate, name="re-authenticate"),
]
