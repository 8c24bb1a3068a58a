from django.urls import include, path

from console.desk import views

_desk = (
    [
        path("portfolio/", views.show_portfolio, name="portfolio"),
        path("portfolio/read/<int:pk>/", views.read, name="read"),
        path("portfolio/test/<int:pk>/", views.test, name="test"),
        path("setup/", views.setup_steps, name="setup"),
    ],
    "desk",
)
urlpatterns = [
    path("", views.home, name="home"),
    path("", include(_desk)),
]
