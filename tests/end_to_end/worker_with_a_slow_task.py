"""The worker of the default instance with a task that never ends; ``began`` on standard output once it runs."""

import os
import threading

from console.celery import app
from console.processes import run_worker


@app.task(name="tests.never_ends")
def never_ends() -> None:
    os.write(1, b"began\n")  # Celery has put a logger in the place of sys.stdout
    threading.Event().wait()


if __name__ == "__main__":
    never_ends.delay()
    run_worker()
