"""A person at the console, by plain HTTP: signs in, reads the consent page, chooses, takes access back."""

import html
import re
from types import TracebackType
from urllib.parse import urljoin, urlsplit

import httpx2

from tests.patience import at_most

_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')


class Person:
    def __init__(self, url: str, email: str, password: str) -> None:
        self.url = url
        self.email, self.password = email, password
        self.browser = httpx2.Client(timeout=at_most(30), follow_redirects=False)

    def __enter__(self) -> "Person":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.browser.close()

    def get(self, path: str) -> httpx2.Response:
        """The page, after any redirects within the console; signs in on the way when asked to."""
        answer = self.browser.get(urljoin(self.url, path))
        for _ in range(5):
            if not answer.has_redirect_location or not self._here(answer.headers["location"]):
                return answer
            target = urljoin(self.url, answer.headers["location"])
            if urlsplit(target).path.endswith("/sign-in/"):
                page = self.browser.get(target)
                answer = self.post(target, page, username=self.email, password=self.password)
            else:
                answer = self.browser.get(target)
        raise AssertionError(f"Too many redirects from {path}")

    def post(self, path: str, page: httpx2.Response, **fields: str) -> httpx2.Response:
        """Send a form that stood on ``page``, with the password where it asks for a proof of presence."""
        hidden = {name: html.unescape(value) for name, value in _HIDDEN.findall(page.text)}
        assert "csrfmiddlewaretoken" in hidden, page.text[:2000]
        answer = self._send(path, hidden | fields)
        if answer.status_code != 200 or 'name="proof-password"' not in answer.text:
            return answer
        asked = {name: html.unescape(value) for name, value in _HIDDEN.findall(answer.text)}
        return self._send(path, hidden | fields | asked | {"proof-password": self.password})

    def _send(self, path: str, fields: dict[str, str]) -> httpx2.Response:
        return self.browser.post(urljoin(self.url, path), data=fields, headers={"Referer": self.url})

    def consent(self, authorize_url: str, *, connection: str, scope: str) -> str:
        """Allow what the page asks for, and the address the browser is sent to."""
        page = self.get(authorize_url)
        assert page.status_code == 200, page.text[:2000]
        choice = re.search(
            rf'name="connection" value="([^"]+)"(?:(?!name="connection").)*?<strong>{re.escape(connection)}</strong>',
            page.text,
            re.S,
        )
        assert choice is not None, page.text[:3000]
        answer = self.post(str(page.url), page, connection=choice[1], scope=scope, choice="allow")
        assert answer.status_code in (302, 303), answer.text[:2000]
        target: str = answer.headers["location"]
        return target

    def revoke_app(self, name: str) -> None:
        """Take an app's access back on its page."""
        listed = self.get("/apps/")
        found = re.search(rf'href="(/apps/\d+/)"[^>]*>\s*{re.escape(name)}', listed.text)
        assert found is not None, listed.text[:3000]
        page = self.get(found[1] + "revoke/")
        answer = self.post(found[1] + "revoke/", page)
        assert answer.status_code in (302, 303), answer.text[:2000]

    def _here(self, location: str) -> bool:
        target = urlsplit(urljoin(self.url, location))
        return target.netloc == urlsplit(self.url).netloc
