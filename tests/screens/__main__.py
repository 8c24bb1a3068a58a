"""``make screens``: every page of the demo, at four widths, light and dark, with contact sheets and a list of faults.

Pages are found by following links from Home, one for each route of the URL conf. Whatever is cut off, scrolls sideways
or is written to the browser's console is listed in ``faults.txt``.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from django.urls import resolve
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.conftest import FLAGS
from tests.browser.overflow import cut_off
from tests.browser.steps import beyond, resize
from tests.commands import REPOSITORY

WIDTHS = (360, 1024, 1320, 1920)
SCHEMES: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
SEVERAL = {"connections/<int:pk>/": 3, "orders/<str:public_id>/": 4, "apps/<int:pk>/": 2}
"""Pages of one route that differ much from each other; of all others one is enough."""
SHOWN_HIGH = 1500
"""Pixels of a page on a contact sheet; its own picture has all of it."""
_LEAVE = re.compile(r"\.(csv|mcpb|json|ndjson|svg|zip)$|/sign-out/|^/api/|^/help/(?!$)|^/static/")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a command for a terminal


def _demo(port: int) -> tuple["subprocess.Popen[str]", str, str]:
    """Started and ready, with the owner's e-mail and password."""
    environment = os.environ | {"PORT": str(port), "TRADELATCH_HOME": str(REPOSITORY / ".cache" / "screens-demo")}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.demo"], env=environment, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    )
    assert process.stdout is not None
    told = {}
    for line in process.stdout:
        for name in ("Sign in as", "Password"):
            if line.startswith(name):
                told[name] = line.removeprefix(name).strip()
        if "Password" in told:
            return process, told["Sign in as"], told["Password"]
    sys.exit("The demo did not start; run make demo to see why.")


def _sign_in(page: Page, address: str, email: str, password: str) -> None:
    page.goto(f"{address}/sign-in/")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"{address}/")


def _links(page: Page, address: str) -> list[str]:
    found: list[str] = page.evaluate("[...document.querySelectorAll('a[href]')].map(a => a.href)")
    origin = urlsplit(address).netloc
    paths = [
        parts.path + (f"?{parts.query}" if parts.query else "")
        for parts in map(urlsplit, found)
        if parts.netloc == origin
    ]
    return list(dict.fromkeys(path for path in paths if not _LEAVE.search(path.partition("?")[0])))


def _route(path: str) -> str:
    plain, _, query = path.partition("?")
    return resolve(plain).route + (" of all" if "everyone=" in query else "")


def _name(path: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", path.lower()).strip("-")[:80] or "home"


def _shoot(page: Page, path: str, folder: Path, wrong: list[str]) -> None:
    for width in WIDTHS:
        resize(page, width)
        if (pixels := beyond(page)) > 0:
            wrong.append(f"{path} at {width}: scrolls sideways by {pixels} px")
        wrong += [f"{path} at {width}: {each}" for each in cut_off(page)]
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.screenshot(path=folder / f"{width}-{scheme}" / f"{_name(path)}.png", full_page=True)


def _walk(page: Page, address: str, folder: Path, only: re.Pattern[str] | None) -> list[str]:
    wrong: list[str] = []
    here = ""
    page.on("console", lambda said: wrong.append(f"{here}: {said.text}") if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(f"{here}: {error}"))
    todo, seen = ["/"], set[str]()
    times: dict[str, int] = defaultdict(int)
    while todo:
        here = todo.pop(0)
        route = _route(here)
        if here in seen or times[route] >= SEVERAL.get(route, 1):
            continue
        seen.add(here)
        times[route] += 1
        answer = page.goto(address + here)
        if answer is None or answer.status != 200:
            wrong.append(f"{here}: status {answer.status if answer else 'none'}")
            continue
        todo += _links(page, address)
        if only is None or only.search(here):
            _shoot(page, here, folder, wrong)
            _say(here)
    return wrong


def _sheets(chromium: Browser, folder: Path) -> None:
    """One page of small pictures after another, for each width and scheme."""
    page = chromium.new_page()
    for width in WIDTHS:
        across, shown = {360: (8, 220), 1024: (4, 460), 1320: (3, 620), 1920: (3, 640)}[width]
        for scheme in SCHEMES:
            pictures = sorted((folder / f"{width}-{scheme}").glob("*.png"))
            each = across * 2
            for number, start in enumerate(range(0, len(pictures), each), 1):
                cells = "".join(
                    f"<figure><figcaption>{file.stem}</figcaption><div><img src='{file.as_uri()}'></div></figure>"
                    for file in pictures[start : start + each]
                )
                high = round(SHOWN_HIGH * shown / max(width, 700))
                sheet = folder / "sheet.html"
                sheet.write_text(
                    "<style>body{margin:8px;display:grid;gap:10px;font:12px sans-serif;background:#888;"
                    f"grid-template-columns:repeat({across},{shown}px)}}figure{{margin:0}}div{{max-height:{high}px;"
                    f"overflow:hidden}}img{{width:{shown}px;display:block}}</style>{cells}"
                )
                page.set_viewport_size({"width": across * (shown + 10) + 16, "height": 800})
                page.goto(sheet.as_uri())
                page.screenshot(path=folder / f"sheet-{width}-{scheme}-{number:02}.png", full_page=True)
                sheet.unlink()


def main() -> None:
    said = argparse.ArgumentParser(prog="make screens")
    said.add_argument("folder", type=Path)
    said.add_argument("--at", help="a demo that runs already, such as http://localhost:8010")
    said.add_argument("--email", default="")
    said.add_argument("--password", default="")
    said.add_argument("--only", type=re.compile, help="addresses to take pictures of; all are visited")
    said.add_argument("--port", type=int, default=8012)
    chosen = said.parse_args()
    folder: Path = chosen.folder.absolute()
    for width in WIDTHS:
        for scheme in SCHEMES:
            (folder / f"{width}-{scheme}").mkdir(parents=True, exist_ok=True)
            for old in (folder / f"{width}-{scheme}").glob("*.png"):
                old.unlink()
    for old in folder.glob("sheet-*.png"):
        old.unlink()
    demo, address, email, password = None, chosen.at, chosen.email, chosen.password
    if address is None:
        demo, email, password = _demo(chosen.port)
        address = f"http://localhost:{chosen.port}"
    began = time.monotonic()
    try:
        with sync_playwright() as playwright:
            program = os.environ.get("CHROMIUM", "/usr/bin/chromium")
            chromium = playwright.chromium.launch(executable_path=program, args=FLAGS)
            page = chromium.new_page(viewport={"width": 1320, "height": 900})
            _sign_in(page, address, email, password)
            wrong = _walk(page, address, folder, chosen.only)
            _sheets(chromium, folder)
            chromium.close()
    finally:
        if demo is not None:
            demo.terminate()
            demo.wait()
    (folder / "faults.txt").write_text("".join(f"{each}\n" for each in dict.fromkeys(wrong)))
    _say(f"{folder}: {len(set(wrong))} faults in faults.txt, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
