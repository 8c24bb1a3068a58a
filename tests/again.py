"""``python -m tests.again``: what failed in the last run, once more by itself; a part of ``make test``.

Four processes and a browser on two cores take turns with everything; a test that fails among them and passes alone says
so here by its name, and is to be made certain. Many failures are no chance, and are not tried again.
"""

import json
import subprocess
import sys
from pathlib import Path

MOST = 3
LAST_FAILED = Path(".pytest_cache/v/cache/lastfailed")


def main() -> int:
    failed = sorted(json.loads(LAST_FAILED.read_text())) if LAST_FAILED.exists() else []
    if not 0 < len(failed) <= MOST:
        return 1
    sys.stdout.write(f"\n{len(failed)} failed among others, and run once more by themselves:\n")
    sys.stdout.flush()
    ended = subprocess.run([sys.executable, "-m", "pytest", "-p", "no:xdist", "-v", *failed], check=False).returncode
    if ended == 0:
        names = "\n".join(f"  {name}" for name in failed)
        sys.stdout.write(
            f"Passed alone, failed among others. Make them certain, see docs/develop/testing.md:\n{names}\n"
        )
    return ended


if __name__ == "__main__":
    sys.exit(main())
