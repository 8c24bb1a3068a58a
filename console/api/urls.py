from django.urls import include, path, re_path

from console.alerts import api as alerts
from console.api import views
from console.api.base import Nowhere
from console.audit import api as audit
from console.clients import api as clients
from console.connected_apps import api as apps
from console.connections import api as connections
from console.halts import api as halts
from console.journal import api as journal
from console.keys import api as keys
from console.orders import api as orders
from console.practice import api as practice
from console.recent_errors import api as recent_errors

_V1 = [
    path("connections", connections.Connections.as_view()),
    path("connections/<int:connection_id>", connections.OneConnection.as_view()),
    path("connections/<int:connection_id>/pause", connections.PauseConnection.as_view()),
    path("connections/<int:connection_id>/resume", connections.ResumeConnection.as_view()),
    path("connections/<int:connection_id>/trading-on", connections.TradingOn.as_view()),
    path("connections/<int:connection_id>/trading-off", connections.TradingOff.as_view()),
    path("connections/<int:connection_id>/limits", connections.ConnectionLimits.as_view()),
    path("connections/<int:connection_id>/policy", connections.ConnectionPolicy.as_view()),
    path("connections/<int:connection_id>/confirmation-delay", connections.ConfirmationDelay.as_view()),
    path("connections/<int:connection_id>/performance", journal.Performance.as_view()),
    path("connections/<int:connection_id>/profit", journal.Profit.as_view()),
    path("connections/<int:connection_id>/equity", journal.Equity.as_view()),
    path("connections/<int:connection_id>/practice-accounts", practice.PracticeAccounts.as_view()),
    path("connections/<int:connection_id>/practice-accounts/<str:account_id>", practice.OnePracticeAccount.as_view()),
    path(
        "connections/<int:connection_id>/practice-accounts/<str:account_id>/reset",
        practice.ResetPracticeAccount.as_view(),
    ),
    path(
        "connections/<int:connection_id>/practice-accounts/<str:account_id>/model", practice.SetPracticeModel.as_view()
    ),
    path("clients", clients.Clients.as_view()),
    path("clients/<int:client_pk>", clients.OneClient.as_view()),
    path("keys", keys.Keys.as_view()),
    path("keys/<str:key_id>", keys.OneKey.as_view()),
    path("keys/<str:key_id>/revoke", keys.RevokeKey.as_view()),
    path("connected-apps", apps.Apps.as_view()),
    path("connected-apps/<int:app_id>", apps.OneApp.as_view()),
    path("connected-apps/<int:app_id>/narrow", apps.Narrow.as_view()),
    path("connected-apps/<int:app_id>/pause", apps.PauseApp.as_view()),
    path("connected-apps/<int:app_id>/resume", apps.ResumeApp.as_view()),
    path("connected-apps/<int:app_id>/revoke", apps.Revoke.as_view()),
    path("connected-apps/<int:app_id>/asking", apps.AppAsking.as_view()),
    path("connected-apps/<int:app_id>/limits", apps.AppLimits.as_view()),
    path("halts", halts.Halts.as_view()),
    path("halts/<int:halt_id>/lift", halts.Lift.as_view()),
    path("orders", orders.Orders.as_view()),
    path("orders/max", orders.Largest.as_view()),
    path("orders/external", orders.Outside.as_view()),
    path("orders/confirm", orders.Confirm.as_view()),
    path("orders/<str:order_id>", orders.OneOrder.as_view()),
    path("orders/<str:order_id>/approve", orders.Approve.as_view()),
    path("orders/<str:order_id>/cancel", orders.Cancel.as_view()),
    path("orders/<str:order_id>/notes", journal.OrderNotes.as_view()),
    path("journal/trades", journal.Trades.as_view()),
    path("journal/trades/<str:trade_id>", journal.OneTrade.as_view()),
    path("journal/trades/<str:trade_id>/notes", journal.TradeNotes.as_view()),
    path("alerts", alerts.Alerts.as_view()),
    path("alerts/history", alerts.AlertEvents.as_view()),
    path("alerts/messages", alerts.AppMessages.as_view()),
    path("alerts/<str:alert_id>", alerts.OneAlert.as_view()),
    path("alerts/<str:alert_id>/cancel", alerts.CancelAlert.as_view()),
    path("activity", audit.Activity.as_view()),
    path("activity/<str:request_id>", audit.OneCall.as_view()),
    path("errors", recent_errors.Errors.as_view()),
]

urlpatterns = [
    path("developers/", views.developers, name="developers"),
    path("docs/tools/", views.tools, name="tools"),
    path("docs/tools/<slug:name>/", views.tool, name="tool"),
    path("api/v1/schema.json", views.Schema.as_view(), name="schema"),
    path("api/v1/", include(_V1)),
    # Last: a page for people would be no answer to a program.
    re_path(r"^api/", Nowhere.as_view()),
]
