"""The OpenAPI 3.1 description, made from what the endpoints declare."""

from functools import cache
from typing import Any

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema

from console.api import problems
from console.api.parsing import Nothing, Strict
from console.authority.drf import ALLOWED, CredentialKind

_SCHEME = {
    CredentialKind.SESSION: "session",
    CredentialKind.API_KEY: "key",
    CredentialKind.PLATFORM: "platform",
    CredentialKind.MANAGEMENT: "management",
}
_READING = (400, 401, 403, 404, 422, 429, 500, 503)
_CHANGING = (400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 502, 503)
_REQUEST_ID = {
    "schema": {"type": "string"},
    "description": "The id of the call's row under Activity.",
    "required": True,
}
_RETRY_AFTER = {"schema": {"type": "string"}, "description": "Seconds to wait.", "required": True}


class Described(AutoSchema):
    """Reads ``view.acts``."""

    @property
    def _endpoint(self) -> Any:
        return self.view

    @property
    def _act(self) -> Any:
        return self._endpoint.acts[self.method]

    def get_operation_id(self) -> str:
        return str(self._act.name)

    def get_summary(self) -> str:
        return str(self._act.about)

    def get_description(self) -> str:  # type: ignore[override]  # two libraries, two signatures
        return ""

    def get_tags(self) -> list[str]:
        return [self._endpoint.tag]

    def get_override_parameters(self) -> list[Any]:
        return [] if self._act.asks is Nothing else [self._act.asks]

    def get_request_serializer(self) -> Any:
        return None if self._act.takes is Nothing else self._act.takes()

    def get_response_serializers(self) -> Any:
        act = self._act
        body: Any = None
        if act.answers is not None:
            body = self._page_of(act.answers) if act.paged else act.answers()
        told: dict[Any, Any] = dict.fromkeys((act.status, *act.also), body)
        for status in _READING if self.method == "GET" else _CHANGING:
            told[(status, problems.MEDIA_TYPE)] = problems.Problem()
        return told

    def _page_of(self, row: Any) -> dict[str, Any]:
        component = self.resolve_serializer(row(), "response")
        return {
            "type": "object",
            "properties": {
                "items": {"type": "array", "items": component.ref},
                "next": {"type": ["string", "null"], "format": "uri", "description": "Null on the last page."},
            },
            "required": ["items", "next"],
        }

    def get_auth(self) -> list[dict[str, Any]]:
        return [{_SCHEME[kind]: []} for kind, allowed in ALLOWED.items() if self._act.needs in allowed]

    def _is_list_view(self, serializer: Any = None) -> bool:
        return False

    def _get_response_headers_for_code(self, status_code: str, direction: str = "response") -> dict[str, Any]:
        headers = {"X-Request-ID": _REQUEST_ID}
        return headers | {"Retry-After": _RETRY_AFTER} if status_code == "429" else headers

    def _map_serializer(self, serializer: Any, direction: Any, bypass_extensions: bool = False) -> Any:
        schema = super()._map_serializer(serializer, direction, bypass_extensions)  # type: ignore[no-untyped-call]
        if isinstance(serializer, Strict):
            schema["additionalProperties"] = False
        if serializer.__class__.__doc__ is None:
            schema.pop("description", None)  # that of the base class
        return schema


@cache
def document() -> dict[str, Any]:
    made: dict[str, Any] = _tidy(SchemaGenerator().get_schema(request=None, public=True))  # type: ignore[no-untyped-call]
    return made


def _tidy(value: Any) -> Any:
    """Without the generator's own notes."""
    if isinstance(value, dict):
        return {key: _tidy(item) for key, item in value.items() if key != "x-spec-enum-id"}
    return [_tidy(item) for item in value] if isinstance(value, list) else value


# As a person reads the names of the security schemes.
CALLERS = {"session": "Session", "key": "API key", "platform": "Platform token", "management": "Management key"}
