"""Zip files that are the same to the byte when what is in them is."""

import io
import zipfile
from collections.abc import Mapping

_MADE_AT = (1980, 1, 1, 0, 0, 0)
"""The first moment that the format knows."""


def zipped(files: Mapping[str, bytes]) -> bytes:
    """``files``: content by path, in the order they are packed."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, _MADE_AT), content, zipfile.ZIP_DEFLATED)
    return made.getvalue()
