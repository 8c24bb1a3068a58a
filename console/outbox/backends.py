"""Mail without a mail server: each letter is a file that its operator alone can read."""

import contextlib
import logging
import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

log = logging.getLogger(__name__)

_KEPT_SECONDS = 30 * 86400.0


class FolderBackend(BaseEmailBackend):
    """Writes to ``LETTERS_FOLDER``, mode 0700. The log names the file: a link in the letter is nobody else's."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        folder = Path(settings.LETTERS_FOLDER)
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
        _delete_old(folder)
        for message in email_messages:
            file = folder / f"{time.strftime('%Y-%m-%d-%H%M%S', time.gmtime())}-{secrets.token_hex(4)}.txt"
            _write(file, f"To: {', '.join(message.to)}\nSubject: {message.subject}\n\n{message.body}")
            log.warning("The e-mail to %s is in %s: no mail server is set.", ", ".join(message.to), file)
        return len(email_messages)


def _write(file: Path, text: str) -> None:
    """Under its name it is whole, and never readable by others."""
    draft = file.with_suffix(".part")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(draft, file)


def _delete_old(folder: Path) -> None:
    for each in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if time.time() - each.stat().st_mtime > _KEPT_SECONDS:
                each.unlink()
