"""Page templates as they are sent: without the spaces that only order the source.

They were a tenth of a page. Line breaks stay, so that a line number in an error is that of the file.
"""

import re
from typing import Any

from django.template.loaders import app_directories, filesystem

_INDENT = re.compile(r"(?<=\n)[ \t]+")


class Loader(filesystem.Loader):
    def get_contents(self, origin: Any) -> str:
        return _squeezed(origin.name, super().get_contents(origin))


class AppLoader(app_directories.Loader):
    def get_contents(self, origin: Any) -> str:
        return _squeezed(origin.name, super().get_contents(origin))


def _squeezed(name: str, source: str) -> str:
    """Letters and scripts are sent as they are written."""
    return _INDENT.sub("", source) if name.endswith(".html") else source
