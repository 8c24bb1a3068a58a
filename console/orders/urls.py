from django.urls import path

from console.orders.views import approvals, broker_questions, close_all, exports, orders, standing_rules

app_name = "orders"
urlpatterns = [
    path("", orders.list_, name="list"),
    path("export.csv", exports.csv, name="csv"),
    path("export.ndjson", exports.ndjson, name="ndjson"),
    path("waiting/", approvals.waiting, name="waiting"),
    path("elsewhere/<int:pk>/", orders.elsewhere, name="elsewhere"),
    path("elsewhere/<int:pk>/cancel/", orders.cancel_elsewhere, name="cancel-elsewhere"),
    path("closing/<int:pk>/", close_all.closing_page, name="closing"),
    path("closing/<int:pk>/prepare/", close_all.close_everything, name="close-everything"),
    path("closing/<int:pk>/cancel/", close_all.cancel_everything, name="cancel-everything"),
    path("approvals/", approvals.approval_list, name="approvals"),
    path("approvals/rules/", standing_rules.list_, name="rules"),
    path("approvals/rules/new/<int:pk>/", standing_rules.new, name="new-rule"),
    path("approvals/rules/<str:public_id>/", standing_rules.detail, name="rule"),
    path("approvals/rules/<str:public_id>/end/", standing_rules.end, name="end-rule"),
    path("approvals/letters/<int:pk>/", approvals.emails_on, name="letters"),
    path("approvals/<str:public_id>/", approvals.approval, name="approval"),
    path("approvals/<str:public_id>/now/", approvals.now, name="now"),
    path("approvals/<str:public_id>/release/", approvals.release, name="release"),
    path("approvals/<str:public_id>/reject/", approvals.reject, name="reject"),
    path("approvals/questions/<str:public_id>/", broker_questions.question, name="question"),
    path("approvals/questions/<str:public_id>/yes/", broker_questions.accept, name="say-yes"),
    path("approvals/questions/<str:public_id>/no/", broker_questions.decline, name="say-no"),
    path("<str:public_id>/", orders.detail, name="detail"),
    path("<str:public_id>/cancel/", orders.cancel, name="cancel"),
    path("<str:public_id>/settle/", orders.settle, name="settle"),
]
