from django.http import HttpRequest

from console.accounts.models import User


def user_of(request: HttpRequest) -> User:
    """The person signed in. LoginRequiredMiddleware has turned everybody else away before a view runs."""
    assert isinstance(request.user, User)
    return request.user
