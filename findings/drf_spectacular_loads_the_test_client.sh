#!/usr/bin/env bash
# drf-spectacular 0.30.0: writing an API's schema loads Django's and REST framework's test clients and unittest.mock.
# Expected: what only describes an API imports nothing for tests. Seen: drf_spectacular.plumbing imports rest_framework.test, and with it django.test and unittest.mock, in every process whose URL conf has a schema view.
# For us: the schema is made when somebody asks for it; a start does not load it, which a test holds.
source "$(dirname "$0")/lib/common.sh"
venv py Django==5.2.19 djangorestframework==3.18.3 drf-spectacular==0.30.0
"$dir/py/bin/python" - << 'PY'
import sys
from importlib.metadata import version

from django.conf import settings

settings.configure(INSTALLED_APPS=["rest_framework", "drf_spectacular"], SECRET_KEY="x")
import django

django.setup()
wanted = ("rest_framework.test", "django.test.client", "unittest.mock")
before = [name for name in wanted if name in sys.modules]
import drf_spectacular.plumbing  # noqa: F401

after = [name for name in wanted if name in sys.modules]
print(f"drf-spectacular {version('drf-spectacular')}: loaded before {before}, after {after}")
assert after == list(wanted)
PY
