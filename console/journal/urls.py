from django.urls import include, path

from console.journal import views

_journal = (
    [
        path("", views.list_, name="list"),
        path("trades.csv", views.trades_csv, name="csv"),
        path("rebuild/<int:pk>/", views.rebuild, name="rebuild"),
        path("<str:public_id>/", views.trip, name="trade"),
    ],
    "journal",
)
_performance = (
    [
        path("", views.show_performance, name="page"),
        path("executions.csv", views.executions_csv, name="executions"),
        path("ledger.csv", views.ledger_csv, name="ledger"),
    ],
    "performance",
)

urlpatterns = [
    path("journal/", include(_journal)),
    path("connections/<int:pk>/performance/", include(_performance)),
]
