import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from console.errors import Refusal
from console.onboarding import migrate, quickstart, sealing_keys


class Command(BaseCommand):
    help = "Create the owner's account, a paper connection and two keys, once, and print how to sign in."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
        parser.add_argument(
            "--rotate", action="store_true", help="create a new password and new keys; the old ones end"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with migrate.startup_lock(settings.HOME):
            migrate.migrate()
            sealing_keys.refuse_unfitting()
            try:
                prepared = quickstart.prepare(rotate=options["rotate"])
            except Refusal as refusal:
                raise CommandError(str(refusal)) from refusal
        if options["json"]:
            self.stdout.write(json.dumps(asdict(prepared)))
            return
        kept = "(shown when it was created; --rotate creates a new one)"
        for label, value in (
            ("Console", prepared.console_url),
            ("Sign in as", prepared.username),
            ("Password", prepared.password or kept),
            ("MCP", prepared.mcp_url),
            ("Key that trades", prepared.paper_key_trade or kept),
            ("Key that reads", prepared.paper_key_read or kept),
        ):
            self.stdout.write(f"{label:<16} {value}")
