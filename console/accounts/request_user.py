from collections.abc import Callable
from functools import wraps

from django.http import Http404, HttpRequest, HttpResponse

from console.accounts.models import User


def user_of(request: HttpRequest) -> User:
    """The person signed in. LoginRequiredMiddleware has turned everybody else away before a view runs."""
    assert isinstance(request.user, User)
    return request.user


def operators_only(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Nobody else learns that there is such a page."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if not user_of(request).is_operator:
            raise Http404
        return view(request, *args, **kwargs)

    return guarded
