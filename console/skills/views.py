"""Skills to read and to download. They are nobody's and hold no secret."""

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from console.onboarding import guides
from console.skills import bundles, texts
from console.skills.texts import Skill


@require_safe
def list_skills(request: HttpRequest) -> HttpResponse:
    return render(request, "skills/list.html", {"skills": texts.skills(), "plugin": bundles.PLUGIN})


@require_safe
def skill(request: HttpRequest, slug: str) -> HttpResponse:
    return render(request, "skills/skill.html", {"skill": _find(slug), "basics": texts.BASICS})


@require_safe
def folder(request: HttpRequest, slug: str) -> HttpResponse:
    return _archive(slug, bundles.folder(_find(slug)))


@require_safe
def all_folders(request: HttpRequest) -> HttpResponse:
    return _archive("tradelatch-skills", bundles.all_folders())


@require_safe
def plugin(request: HttpRequest) -> HttpResponse:
    return _archive("tradelatch-plugin", bundles.plugin(guides.place_of(), settings.VERSION))


def _find(slug: str) -> Skill:
    found = texts.find(slug)
    if found is None:
        raise Http404
    return found


def _archive(name: str, content: bytes) -> HttpResponse:
    disposition = f'attachment; filename="{name}.zip"'
    return HttpResponse(content, content_type="application/zip", headers={"Content-Disposition": disposition})
