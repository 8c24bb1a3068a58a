"""Plain requests to ``/api/v1``, and what their answers must have in common."""

import json
from typing import Any

from django.test import Client as Browser

from tests.console.passkeys import Passkey
from tests.console.present import typed_proof

V1 = "/api/v1"


class Rest:
    def __init__(
        self, browser: Browser, key: str | None = None, *, present: bool = False, passkey: Passkey | None = None
    ) -> None:
        """``present``: its person is there and proves it when asked, with the passkey or with the password."""
        self.browser, self.present, self.passkey = browser, present, passkey
        self.headers = {} if key is None else {"Authorization": f"Bearer {key}"}

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        answer = self._send(method, path, body, **headers)
        if not self.present or answer.status_code != 403 or not json.loads(answer.content).get("proof"):
            return answer
        proof = typed_proof(json.loads(answer.content), self.passkey)
        return self._send(method, path, {**(body or {}), "proof": proof}, **headers)

    def _send(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        content: dict[str, Any] = {}
        if body is not None:
            raw = body if isinstance(body, str | bytes) else json.dumps(body)
            content = {"data": raw, "content_type": "application/json"}
        address = path if path.startswith(("/", "http")) and path.startswith((V1, "http")) else V1 + path
        return self.browser.generic(method, address, headers={**self.headers, **headers}, **content)

    def get(self, path: str, *, status: int = 200) -> Any:
        return self._json(self.send("GET", path), status)

    def post(self, path: str, body: Any = None, *, status: int = 200) -> Any:
        return self._json(self.send("POST", path, body), status)

    def refused(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        return problem(self.send(method, path, body))

    def _json(self, response: Any, status: int) -> Any:
        assert response.status_code == status, response.content.decode()
        assert response["Content-Type"] == "application/json"
        assert response["X-Request-ID"].startswith("req_")
        return json.loads(response.content)


def problem(response: Any) -> dict[str, Any]:
    """The problem details of a refusal, checked for their form."""
    assert response.status_code >= 400, response.content.decode()
    assert response["Content-Type"] == "application/problem+json"
    told: dict[str, Any] = json.loads(response.content)
    assert {"type", "title", "status", "detail", "code", "request_id"} <= told.keys()
    assert told["status"] == response.status_code
    assert told["request_id"] == response["X-Request-ID"]
    assert told["type"] == f"http://localhost:8000/help/errors/{told['code']}/"
    return told
