"""What a person typed, while they are away to prove who they are. Never a secret: these forms ask for none."""

from django.http import HttpRequest

_KEY = "typed_key_form"


def keep(request: HttpRequest) -> None:
    typed = {name: str(value)[:2500] for name, value in request.POST.items()}
    request.session[_KEY] = {
        "path": request.path,
        "typed": {name: value for name, value in typed.items() if name not in ("csrfmiddlewaretoken", "once")},
    }


def take(request: HttpRequest) -> dict[str, str]:
    """What was kept for this page, once."""
    kept = request.session.pop(_KEY, None)
    return kept["typed"] if kept and kept["path"] == request.path else {}
