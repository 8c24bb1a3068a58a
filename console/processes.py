"""What one instance consists of: a web server, and a worker that keeps the schedule too."""

import sys
import warnings

import uvicorn

from console import asgi
from console.celery import app
from console.http_protocol import BoundedHttpProtocol
from console.onboarding.supervisor import Child
from console.operations.schedule_in_worker import ScheduleInWorker


def instance(*, host: str, port: int) -> list[Child]:
    """The children of ``run``, each with all of its code loaded."""
    app.loader.import_default_modules()
    return [
        Child(name="web", run=lambda: serve_web(host, port), vital=True),
        Child(name="worker", run=run_worker),
    ]


def serve_web(host: str, port: int) -> None:
    """Raises SystemExit when it cannot start."""
    uvicorn.run(
        asgi.application,
        host=host,
        port=port,
        loop="uvloop",
        http=BoundedHttpProtocol,
        ws="none",
        lifespan="on",
        # Who is in front is told by the settings alone: see console.trusted_proxies.
        proxy_headers=False,
        server_header=False,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=5,
    )


def run_worker() -> None:
    # Our messages are JSON ids: what makes root dangerous for Celery is pickle.
    warnings.filterwarnings("ignore", "You're running the worker with superuser")
    app.steps["worker"].add(ScheduleInWorker)
    worker = app.Worker(
        # Threads, not forks: a forked child would inherit the database pool's connections.
        pool="threads",
        concurrency=2,
        loglevel="WARNING",
        hostname="worker@tradelatch",
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )
    worker.start()
    sys.exit(worker.exitcode)
