"""Static files under names that change with their content, compressed once, kept by browsers for good.

They are written when a server starts on a home for the first time, and again when their content has changed.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from whitenoise.middleware import WhiteNoiseMiddleware  # type: ignore[import-untyped]
from whitenoise.storage import CompressedManifestStaticFilesStorage  # type: ignore[import-untyped]

_KEPT = 3
"""Folders of this content and of those before: a server of the last version may still run."""
_IGNORED = ["ext", "htmx-4*", "htmax-4*", "django-htmx.js", "htmx-2.js"]
"""What comes with django-htmx and no page asks for."""


def write_once(root: Path) -> None:
    """Whole or not at all: two servers that start at once write beside each other, and one of them is kept."""
    if root.exists():
        return
    root.parent.mkdir(exist_ok=True)
    making = Path(tempfile.mkdtemp(dir=root.parent, prefix="making-"))
    try:
        _write(making)
        making.rename(root)
    except OSError:
        if not root.exists():
            raise
    finally:
        shutil.rmtree(making, ignore_errors=True)
    others = sorted(root.parent.glob("[0-9a-f]*"), key=lambda folder: folder.stat().st_mtime, reverse=True)
    for old in others[_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)


def _write(folder: Path) -> None:
    storage = CompressedManifestStaticFilesStorage(location=str(folder))
    found: dict[str, tuple[Any, str]] = {}
    for finder in get_finders():
        for path, source in finder.list(_IGNORED):
            prefix = getattr(source, "prefix", None)
            found.setdefault(f"{prefix}/{path}" if prefix else path, (source, path))
    for name, (source, path) in found.items():
        with source.open(path) as content:
            storage.save(name, content)
    for _, _, processed in storage.post_process(found):
        if isinstance(processed, Exception):
            raise processed


class Storage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Addresses with hashes, for templates."""

    def load_manifest(self) -> Any:
        write_once(Path(settings.STATIC_ROOT))
        return super().load_manifest()


class Middleware(WhiteNoiseMiddleware):  # type: ignore[misc]
    """Serves them."""

    def __init__(self, get_response: Any = None) -> None:
        if not settings.DEVELOPMENT:
            write_once(Path(settings.STATIC_ROOT))
        super().__init__(get_response)
