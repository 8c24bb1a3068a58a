"""The two ways an endpoint says no to a credential."""

from console.errors import Code, Refusal
from console.principal import Manager, Principal


class Unauthenticated(Refusal):
    """Nobody may act with this bearer. ``principal`` is set when it is or once was somebody's, for the log."""

    def __init__(self, message: str, principal: Principal | Manager | None = None) -> None:
        super().__init__(Code.UNAUTHENTICATED, message)
        self.principal = principal


class WrongAddress(Refusal):
    """The credential is good, but not from where the call came. HTTP 403: signing in again would not help."""

    def __init__(self, principal: Principal | Manager) -> None:
        super().__init__(Code.IP_NOT_ALLOWED, f"This key does not work from {principal.ip or 'an unknown address'}.")
        self.principal = principal
