from django.urls import path

from console.skills import views

app_name = "skills"
urlpatterns = [
    path("", views.list_skills, name="list"),
    path("tradelatch-plugin.zip", views.plugin, name="plugin"),
    path("tradelatch-skills.zip", views.all_folders, name="all"),
    path("<slug:slug>.zip", views.folder, name="folder"),
    path("<slug:slug>/", views.skill, name="skill"),
]
