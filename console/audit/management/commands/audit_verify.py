import contextlib
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from console.audit.seals import copies, signing, triggers, verifying


class Command(BaseCommand):
    help = (
        "Check that calls, changes and sign-ins are what was sealed. Names the first row that is not, and ends with 1."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--public-key",
            action="append",
            default=[],
            metavar="FILE",
            help="a PEM file with keys that may have signed; can be repeated. Default: the instance's own",
        )
        parser.add_argument(
            "--seals", metavar="FILE", help="seals that were copied out by audit_seals: each must be here"
        )
        parser.add_argument(
            "--since", type=int, default=0, metavar="NUMBER", help="check only what comes after this seal"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            trusted = _keys(options["public_key"])
            with contextlib.ExitStack() as open_files:
                copied = open_files.enter_context(Path(options["seals"]).open()) if options["seals"] else None
                found = verifying.verify(trusted, since=options["since"], copies=copies.read(copied) if copied else ())
        except (ImproperlyConfigured, OSError, ValueError) as error:
            raise CommandError(str(error)) from error
        waiting = ", ".join(f"{count} {record}" for record, count in found.unsealed.items() if count)
        self.stdout.write(
            f"{found.seals} seals checked, {found.rows} rows compared, {found.dropped} deleted by retention."
        )
        if waiting:
            self.stdout.write(f"Not sealed yet, so not checked: {waiting}.")
        if gone := triggers.missing():
            self.stdout.write(f"The database does not refuse changes, triggers are missing: {', '.join(gone)}.")
        if found.problem:
            raise CommandError(f"Broken. {found.problem.words}", returncode=1)
        until = f" up to {found.through:%Y-%m-%d %H:%M:%S} UTC" if found.through else ""
        self.stdout.write(f"The record is whole{until}.")


def _keys(files: list[str]) -> frozenset[str]:
    if not files:
        return signing.own_public_keys()
    return frozenset().union(*(signing.public_keys(Path(file).read_bytes()) for file in files))
