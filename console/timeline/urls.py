from django.urls import path

from console.timeline import views

app_name = "timeline"
urlpatterns = [
    path("timeline/", views.list_, name="list"),
    path("timeline/new/", views.new, name="new"),
    path("timeline/counts/", views.counts, name="counts"),
    path("timeline/export/<slug:form>/", views.export, name="export"),
    path("timeline/orders/<str:public_id>/", views.replay_order, name="replay"),
    path("timeline/views/<slug:page>/", views.saved, name="views"),
    path("timeline/views/<int:pk>/change/", views.change_saved, name="change-view"),
    path("timeline/views/<int:pk>/delete/", views.delete_saved, name="delete-view"),
    path("timeline/<slug:source>/<int:pk>/", views.entry, name="entry"),
    path("search/", views.search_box, name="search"),
]
