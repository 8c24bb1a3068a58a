"""``python -m chat``."""

import sys

import uvicorn

from chat.app import make_app
from chat.settings import Settings, SettingsError


def main() -> int:
    try:
        settings = Settings.from_environment()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    uvicorn.run(make_app(settings), host=settings.host, port=settings.port, log_level="warning", server_header=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
