from django.urls import path

from console.security import views

app_name = "security"
urlpatterns = [
    path("", views.overview, name="overview"),
    path("password/", views.password, name="password"),
    path("app/", views.add_app, name="add-app"),
    path("passkey/", views.add_passkey, name="add-passkey"),
    path("factors/<int:pk>/remove/", views.remove_factor, name="remove-factor"),
    path("codes/", views.new_codes, name="new-codes"),
    path("time-zone/", views.time_zone, name="time-zone"),
    path("time-zone/switch/", views.switch_times, name="switch-times"),
    path("sessions/end/", views.end_sessions, name="end-sessions"),
]
