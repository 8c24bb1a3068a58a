from django.urls import path

from console.operator import views

app_name = "operator"
urlpatterns = [
    path("system/", views.system, name="system"),
    path("reach/", views.reach, name="reach"),
    path("reach/drip", views.drip, name="drip"),
    path("clients/", views.clients, name="clients"),
    path("clients/prune/", views.prune_clients, name="prune-clients"),
    path("clients/<int:pk>/block/", views.block_client, name="block-client"),
    path("clients/<int:pk>/unblock/", views.unblock_client, name="unblock-client"),
    path("grants/", views.all_grants, name="grants"),
    path("grants/<int:pk>/revoke/", views.revoke_grant, name="revoke-grant"),
    path("grants/revoke-all/", views.revoke_all, name="revoke-everything"),
    path("grants/revoke-all/person/<int:pk>/", views.revoke_all, {"of": "person"}, name="revoke-person"),
    path("grants/revoke-all/client/<int:pk>/", views.revoke_all, {"of": "client"}, name="revoke-client"),
    path("connections/", views.connections, name="connections"),
    path("halts/", views.all_halts, name="halts"),
]
