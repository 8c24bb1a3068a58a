from django.urls import path

from console.strategies import views

app_name = "strategies"
urlpatterns = [
    path("", views.list_, name="list"),
    path("new/", views.new, name="new"),
    path("rules.schema.json", views.schema, name="schema"),
    path("<str:backtest_id>/", views.detail, name="detail"),
    path("<str:backtest_id>/cancel/", views.cancel, name="cancel"),
]
