"""``python -m mcpserver.stdio``: the command, where it is not installed."""

import sys

from mcpserver.stdio.main import main

if __name__ == "__main__":
    sys.exit(main())
