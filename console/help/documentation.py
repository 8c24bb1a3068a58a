"""The documentation in docs/, rendered for the console: the same text, with this instance's address and limits.

Markdown is read by markdown-it-py with HTML off, so a page holds no markup but what Markdown makes.
"""

import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path

from django.conf import settings
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import slugify
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = f"{settings.BASE_PATH}/help/"
EXAMPLE_ADDRESS = "http://localhost:8000"
"""What the texts call an instance; replaced by this one's address."""
_MOST_HITS = 25
_AROUND = 90
_VALUE = re.compile(r"<!-- instance:(\w+) -->.*?<!-- / -->")
_COMMENT = re.compile(r"<!--.*?-->\n?")
_SCROLLS_BY_KEYBOARD = '<pre tabindex="0">'


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSection:
    anchor: str
    """Empty for what stands before the first heading."""
    heading: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HelpPage:
    slug: str
    """Its path without the ending: ``use/connect``; of the first page, empty."""
    title: str
    body: SafeString
    sections: tuple[PageSection, ...]

    @property
    def url(self) -> str:
        return url_of(self.slug)


@dataclass(frozen=True, slots=True)
class ContentsEntry:
    title: str
    slug: str

    @property
    def url(self) -> str:
        return url_of(self.slug)


@dataclass(frozen=True, slots=True)
class ContentsGroup:
    title: str
    entries: tuple[ContentsEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchHit:
    title: str
    """Of the page."""
    heading: str
    url: str
    excerpt: str


def url_of(slug: str) -> str:
    return f"{ROOT}{slug}/" if slug else ROOT


def values() -> dict[str, str]:
    """What ``<!-- instance:NAME -->`` in a text stands for here."""
    return {
        "calls_per_minute": str(settings.CALLS_PER_MINUTE),
        "trade_calls_per_minute": str(settings.TRADE_CALLS_PER_MINUTE),
        "lists_per_minute": str(settings.LISTS_PER_MINUTE),
        "confirmation_seconds": str(settings.CONFIRMATION_SECONDS),
    }


@cache
def _files() -> dict[str, Path]:
    """Every page by its slug. What a reader asks for is looked up here, never joined to a path."""
    found = {}
    for path in sorted(settings.DOCS_DIR.rglob("*.md")):
        slug = path.relative_to(settings.DOCS_DIR).with_suffix("").as_posix()
        found["" if slug == "README" else slug.removesuffix("/README")] = path
    return found


@cache
def pictures() -> dict[str, Path]:
    """Every picture by its path below docs/."""
    return {path.relative_to(settings.DOCS_DIR).as_posix(): path for path in settings.DOCS_DIR.rglob("*.svg")}


def page(slug: str) -> HelpPage | None:
    path = _files().get(slug)
    return None if path is None else _rendered(slug, path, path.stat().st_mtime_ns)


def every_page() -> Iterator[HelpPage]:
    for slug in _files():
        found = page(slug)
        if found is not None:
            yield found


def contents() -> list[ContentsGroup]:
    """The headings and links of the first page, which is the table of contents."""
    groups: list[ContentsGroup] = []
    for part in _files()[""].read_text().split("\n## ")[1:]:
        title, _, links = part.partition("\n")
        entries = [
            ContentsEntry(found[1], found[2].removesuffix("/README"))
            for found in re.finditer(r"^- \[(.+?)\]\((.+?)\.md\)", links, re.MULTILINE)
        ]
        groups.append(ContentsGroup(title, tuple(each for each in entries if each.slug in _files())))
    return groups


def search(query: str) -> list[SearchHit]:
    """The sections that hold every word of ``query``, the likeliest first."""
    words = query.casefold().split()[:8]
    if not words:
        return []
    found: list[tuple[int, SearchHit]] = []
    for each in every_page():
        for section in each.sections:
            title, heading, text = each.title.casefold(), section.heading.casefold(), section.text.casefold()
            if not all(word in heading or word in text or word in title for word in words):
                continue
            score = sum(8 * (word in heading) + 4 * (word in title) + min(text.count(word), 4) for word in words)
            if query.casefold().strip() == heading:
                score += 100
            url = f"{each.url}#{section.anchor}" if section.anchor else each.url
            hit = SearchHit(title=each.title, heading=section.heading, url=url, excerpt=_excerpt(section.text, words))
            found.append((score, hit))
    found.sort(key=lambda pair: -pair[0])
    return [hit for _, hit in found[:_MOST_HITS]]


def _excerpt(text: str, words: Sequence[str]) -> str:
    at = min((place for word in words if (place := text.casefold().find(word)) >= 0), default=0)
    start = max(0, at - _AROUND)
    part = text[start : at + 2 * _AROUND]
    return f"{'… ' if start else ''}{part.strip()}{' …' if at + 2 * _AROUND < len(text) else ''}"


@lru_cache(maxsize=256)
def _rendered(slug: str, path: Path, changed_ns: int) -> HelpPage:
    known = values()
    text = _VALUE.sub(lambda found: known[found[1]], path.read_text())
    text = _COMMENT.sub("", text).replace(EXAMPLE_ADDRESS, settings.PUBLIC_URL)
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(text)
    title, tokens = _without_title(tokens)
    folder = path.parent.relative_to(settings.DOCS_DIR).as_posix()
    _number_headings(tokens)
    _label_cells(tokens)
    for token in tokens:
        for child in token.children or ():
            _rewrite_links(child, folder)
    body = markdown.renderer.render(tokens, markdown.options, {}).replace("<pre>", _SCROLLS_BY_KEYBOARD)
    return HelpPage(slug=slug, title=title, body=mark_safe(body), sections=tuple(_sections(tokens)))  # noqa: S308  HTML is off


def _without_title(tokens: list[Token]) -> tuple[str, list[Token]]:
    """The first heading, which the console shows as the page's own, and what follows it."""
    assert tokens[0].tag == "h1", "a page begins with its title"
    return _plain_text(tokens[1]), tokens[3:]


def _number_headings(tokens: list[Token]) -> None:
    """Give each heading its anchor, the same as on GitHub."""
    for opened, inside in pairwise(tokens):
        if opened.type == "heading_open":
            opened.attrSet("id", slugify(_plain_text(inside)))


def _label_cells(tokens: list[Token]) -> None:
    """Tables as everywhere in the console: on a phone each cell says what it is, and no style stands in the page."""
    heads: list[str] = []
    column = 0
    for token, inside in pairwise(tokens):
        # The content security policy lets no style attribute through, which is what markdown-it aligns a column by.
        if "center" in str(token.attrs.pop("style", "")):
            token.attrJoin("class", "centred")
        match token.type:
            case "table_open":
                token.attrSet("class", "table")
                heads = []
            case "th_open":
                heads.append(_plain_text(inside))
                token.attrSet("scope", "col")
            case "tr_open":
                column = 0
            case "td_open":
                if column:
                    token.attrSet("data-label", heads[column])
                column += 1


def _rewrite_links(token: Token, folder: str) -> None:
    """Links and pictures between the texts lead to the pages of the console."""
    for name in ("href", "src"):
        address = str(token.attrGet(name) or "")
        if not address or re.match(r"[a-z]+:|#|/", address):
            continue
        file, sharp, anchor = address.partition("#")
        path = posixpath.normpath(posixpath.join(folder, file))
        if path.endswith(".md"):
            slug = path.removesuffix(".md")
            slug = "" if slug == "README" else slug.removesuffix("/README")
            token.attrSet(name, url_of(slug) + sharp + anchor)
        else:
            token.attrSet(name, ROOT + path)


def _sections(tokens: Sequence[Token]) -> Iterator[PageSection]:
    anchor, heading, text = "", "", list[str]()
    is_heading = False
    for token in tokens:
        if token.type == "heading_open":
            if text or heading:
                yield PageSection(anchor=anchor, heading=heading, text=" ".join(text))
            anchor, text, is_heading = str(token.attrGet("id")), [], True
        elif token.type == "inline":
            if is_heading:
                heading, is_heading = _plain_text(token), False
            else:
                text.append(_plain_text(token))
        elif token.type == "fence":
            text.append(token.content)
    yield PageSection(anchor=anchor, heading=heading, text=" ".join(text))


def _plain_text(token: Token) -> str:
    """The text of a line without its marks."""
    return "".join(
        " " if child.type == "softbreak" else child.content
        for child in token.children or ()
        if child.type in ("text", "code_inline", "softbreak")
    )
