"""The tables of README that are made from the code. ``python -m tests.readme`` writes them anew."""

import os
import re
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
django.setup()

from brokers import registry  # noqa: E402 - after django.setup()
from brokers.types import USUAL, Ability, AssetClass, OrderClass, OrderType  # noqa: E402
from console.errors import EXPLANATIONS, Code, retry_of  # noqa: E402 - after django.setup()
from console.onboarding import hosts  # noqa: E402
from console.onboarding.guide import Place, Runs  # noqa: E402
from console.orders.states import WORDS, Status  # noqa: E402
from console.scopes import Scope  # noqa: E402
from mcpserver import catalog  # noqa: E402

README = Path(__file__).parents[1] / "README.md"

_READERS = {Scope.READ: "readers", Scope.TRADE: "traders"}
# What each status means, in the words of its own docstring where it has one.
_STATUS_NOTES = {
    Status.AWAITING: "shown, nothing was sent",
    Status.LAPSED: "nobody confirmed within 120 s; nothing was sent",
    Status.DENIED: "refused by Tradelatch at release; nothing was sent",
    Status.INTENT: "confirmed and on record; about to be sent, once",
    Status.SENDING: "on its way",
    Status.ASKED: "the broker asks its owner something before it takes it; nothing stands unless they say yes",
    Status.UNKNOWN: "it may stand at the broker; looked up by its id, never sent again",
    Status.NOT_SENT: "the broker could not be reached; nothing was sent",
    Status.NOT_FOUND: "the broker has no such order, long enough after the send to be sure",
    Status.REJECTED: "the broker said no",
    Status.WORKING: "resting at the broker",
    Status.PARTIALLY_FILLED: "partly filled, the rest is resting",
    Status.FILLED: "done",
    Status.CANCELLED: "taken back",
    Status.EXPIRED: "its time in force ran out",
}


_NEEDS = {Runs.HERE: "", Runs.INTERNET: "; needs a public https address", Runs.SCRIPT: ""}


def tables() -> dict[str, list[str]]:
    place = Place(public_url="http://localhost:8000")
    return {
        "hosts": [
            "| host | what to do |",
            "|---|---|",
            *(f"| {guide.name} | {guide.brief}{_NEEDS[guide.runs]} |" for guide in hosts.table(place)),
        ],
        "brokers": [
            "| broker | trades | orders | more it takes | what cannot be read there | what else can be read | "
            "run against the vendor |",
            "|---|---|---|---|---|---|---|",
            *(
                _broker(name)
                for name in sorted(registry.NAMES, key=lambda name: (name != "paper", registry.NAMES[name]))
            ),
        ],
        "tools": [
            "| tool | set | who sees it | what it does |",
            "|---|---|---|---|",
            *(
                f"| `{tool.name}` | `{tool.toolset}` | {_READERS[tool.scope]} | {tool.about} |"
                for tool in catalog.TOOLS
            ),
        ],
        "statuses": [
            "| status | meaning |",
            "|---|---|",
            *(f"| `{status}` | {WORDS[status]}: {_STATUS_NOTES[status]} |" for status in Status),
        ],
        "codes": [
            "| code | meaning | what to do | retry |",
            "|---|---|---|---|",
            *(
                f"| `{code}` | {EXPLANATIONS[code].title} | {EXPLANATIONS[code].advice} | `{retry_of(code)}` |"
                for code in Code
            ),
        ],
    }


def _broker(name: str) -> str:
    can = registry.capabilities(name)
    assert can is not None
    kinds = [f"{kind} ({', '.join(sorted(can.times_in_force(kind)))})" for kind in OrderType if kind in can.order_types]
    offered = {
        "changes in place or by replacement": can.replace,
        "by value": can.notional,
        "parts of a share": can.fractional,
        "short": can.short,
        "outside regular hours": can.extended_hours,
        "reduce-only": can.reduce_only,
        "post-only": can.post_only,
    }
    more = [words for words, has in offered.items() if has]
    more += [each.value for each in OrderClass if each in can.order_classes and each is not OrderClass.SIMPLE]
    cells = (
        registry.NAMES[name],
        ", ".join(each.value for each in AssetClass if each in can.asset_classes),
        "; ".join(kinds),
        ", ".join(more) or "-",
        ", ".join(each.value.replace("_", " ") for each in Ability if each in USUAL - can.abilities) or "-",
        ", ".join(each.value.replace("_", " ") for each in Ability if each in can.abilities - USUAL) or "-",
        "it is ours" if name == "paper" else "never",
    )
    return f"| {' | '.join(cells)} |"


def rendered(text: str) -> str:
    for name, rows in tables().items():
        body = "\n".join([f"<!-- {name} -->", *rows])
        text = re.sub(rf"<!-- {name} -->(\n\|.*)*", body.replace("\\", r"\\"), text)
    return text


if __name__ == "__main__":
    README.write_text(rendered(README.read_text()))
