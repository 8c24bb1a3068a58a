from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from console.audit.models import Seal
from console.audit.seals import copies, signing


class Command(BaseCommand):
    help = "Print the seals of the record, one JSON object a line, to be kept where this computer's users cannot reach."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--since", type=int, default=0, metavar="NUMBER", help="only those after this one")
        parser.add_argument(
            "--public-key",
            action="store_true",
            help="print the public key in PEM instead, for audit_verify",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["public_key"]:
            for line in copies.lines(since=options["since"]):
                self.stdout.write(line)
            return
        try:
            own = signing.own_public_keys()
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        used = Seal.objects.order_by("public_key").values_list("public_key", flat=True).distinct()
        if not (known := own or frozenset(used)):
            raise CommandError("Nothing is sealed yet, so there is no key.")
        for key in sorted(known):
            self.stdout.write(signing.pem_of(key), ending="")
