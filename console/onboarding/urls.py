from django.urls import path

from console.onboarding import views

urlpatterns = [path("", views.home, name="home")]
