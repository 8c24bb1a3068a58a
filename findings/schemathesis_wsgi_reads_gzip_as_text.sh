#!/usr/bin/env bash
# schemathesis 4.32.5: calls a WSGI app in its own process with "Accept-Encoding: gzip" and does not unpack the answer.
# Expected: a server that compresses, as it was asked to, is read as over HTTP. Seen: "Content deserialization error" for each of its answers.
# For us: the test of the REST description takes that header away before the request reaches Django.
source "$(dirname "$0")/lib/common.sh"
venv py schemathesis==4.32.5
"$dir/py/bin/python" - << 'PY'
import gzip
import json

import schemathesis
from schemathesis.core.failures import FailureGroup

SCHEMA = {
    "openapi": "3.0.3",
    "info": {"title": "t", "version": "1"},
    "paths": {"/a": {"get": {"responses": {"200": {"description": "ok", "content": {"application/json": {"schema": {"type": "object"}}}}}}}},
}
asked = set()


def app(environ, start_response):
    asked.add(environ.get("HTTP_ACCEPT_ENCODING", ""))
    body = gzip.compress(json.dumps({"fine": True}).encode())
    headers = [("Content-Type", "application/json"), ("Content-Encoding", "gzip"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]


schema = schemathesis.openapi.from_dict(SCHEMA)
schema.app = app
case = schema["/a"]["GET"].Case()
try:
    case.call_and_validate()
    said = "nothing"
except FailureGroup as failures:
    said = failures.exceptions[0].title
print("schemathesis 4.32.5 asks for", sorted(asked), "and says:", said)
assert any("gzip" in each for each in asked) and "deserialization" in said
PY
