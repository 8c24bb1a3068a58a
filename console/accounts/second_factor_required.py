"""Where the operator requires a second factor, somebody without one is led to set it up and gets nowhere else."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from console.accounts import second_factors
from console.accounts.models import User

View = TypeVar("View", bound=Callable[..., Any])
_KEY = "after_setting_up"


def before_second_factor(view: View) -> View:
    """A page that somebody without a second factor may use to get one, or to leave."""
    setattr(view, "before_second_factor", True)  # noqa: B010  mypy knows no attributes of functions
    return view


def missing(user: User) -> bool:
    return settings.REQUIRE_SECOND_FACTOR and not second_factors.has_any(user)


def intended_url(request: HttpRequest) -> str:
    """The page the person was on their way to."""
    wanted: str = request.session.pop(_KEY, "")
    return wanted


class SecondFactorMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        if getattr(view, "before_second_factor", False):
            return None
        if not isinstance(request.user, User) or not missing(request.user):
            return None
        if request.method == "GET":
            request.session[_KEY] = request.get_full_path()
        return redirect("security:overview")
