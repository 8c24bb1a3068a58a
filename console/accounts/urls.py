from django.contrib.auth.views import LogoutView
from django.urls import path

from console.accounts import views
from console.accounts.second_factor_required import before_second_factor

urlpatterns = [
    path("sign-in/", views.SignIn.as_view(), name="sign-in"),
    path("sign-in/passkey/", views.passkey, name="sign-in-passkey"),
    path("sign-in/second-step/", views.second_step, name="second-step"),
    path("sign-in/with/<slug:slug>/", views.identity_start, name="identity-start"),
    path("sign-in/with/<slug:slug>/callback/", views.identity_callback, name="identity-callback"),
    path("recover/", views.recover, name="recover"),
    path("set-password/<str:token>/", views.set_password, name="set-password"),
    path("sign-out/", before_second_factor(LogoutView.as_view()), name="sign-out"),
]
