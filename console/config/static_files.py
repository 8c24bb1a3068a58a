"""Where the static files of this version lie: pictures, scripts and styles with a hash of their content in the name."""

import hashlib
from collections.abc import Iterable
from pathlib import Path


def folder(home: Path, sources: Iterable[Path]) -> Path:
    """Another one for each content, so that a server which still runs the last version keeps its files."""
    content = hashlib.sha256()
    for source in sources:
        for file in sorted(source.rglob("*")):
            if file.is_file():
                content.update(str(file.relative_to(source)).encode() + b"\0" + file.read_bytes())
    return home / "static" / content.hexdigest()[:16]
