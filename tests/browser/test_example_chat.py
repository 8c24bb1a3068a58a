"""The sample client of deploy/examples/chat, on a real instance: ask, see the card, approve, filled."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from chat import conversation as conversations
from chat.conversation import Conversation, Event
from chat.messages import Message, Model, Tool, ToolAnswered, ToolUse
from chat.models.anthropic import Anthropic
from chat.models.openai import OpenAI
from chat.models.scripted import Scripted
from chat.platform import REMINT_SECONDS, Platform
from chat.settings import ANTHROPIC, OPENAI, Settings, SettingsError
from playwright.sync_api import Page, expect

from tests import serving
from tests.browser.steps import axe_finds, beyond, resize
from tests.end_to_end.platform_steps import add_platform
from tests.hosts.scripted.conversation import Step
from tests.hosts.scripted.model import DONE, ScriptedModel
from tests.patience import at_most
from tests.serving import Server

pytestmark = pytest.mark.timeout(120)

FOLDER = Path(__file__).parents[2] / "deploy" / "examples" / "chat"
ORDER = {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.5"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving.serve(tmp_path_factory.mktemp("chat") / "home") as started:
        yield started


@pytest.fixture(scope="module")
def settings_of_chat(server: Server) -> Settings:
    product = add_platform(server, "Practice desk")
    return Settings(
        tradelatch_url=server.url,
        client_id=product.client_id,
        client_secret=product.client_secret,
        port=serving.free_port(),
    )


@dataclass
class Here:
    """A sample client without its page: everything of it that asks Tradelatch or a model."""

    settings: Settings
    http: httpx2.AsyncClient

    def talk(self, model: Model) -> Conversation:
        return Conversation(Platform(self.http, self.settings), model, self.settings.tradelatch_url)


def here(settings: Settings, work: Callable[[Here], Any]) -> Any:
    """``work`` in a loop of its own: playwright may hold this thread's."""

    async def run() -> Any:
        async with httpx2.AsyncClient(timeout=at_most(30)) as http:
            return await work(Here(settings, http))

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, run()).result(at_most(90))


async def said(conversation: Conversation, text: str) -> list[Event]:
    return [event async for event in conversation.say(text)]


def cards(events: Sequence[Event]) -> list[Event]:
    return [event for event in events if event["kind"] == "card"]


def orders_of(server: Server) -> list[str]:
    return [status for (status,) in server.query("SELECT status FROM orders_order ORDER BY id")]


# -- the page ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chat_url(settings_of_chat: Settings) -> Iterator[str]:
    environment = os.environ | {
        "TRADELATCH_URL": settings_of_chat.tradelatch_url,
        "TRADELATCH_CLIENT_ID": settings_of_chat.client_id,
        "TRADELATCH_CLIENT_SECRET": settings_of_chat.client_secret,
        "PORT": str(settings_of_chat.port),
    }
    process = subprocess.Popen([sys.executable, "-m", "chat"], cwd=FOLDER, env=environment)
    url = f"http://127.0.0.1:{settings_of_chat.port}"

    def answers() -> bool:
        try:
            return httpx2.get(url, timeout=at_most(5)).is_success
        except httpx2.HTTPError:
            return False

    try:
        serving.until(answers, seconds=20, what="the chat page answers")
        yield url
    finally:
        process.terminate()
        process.wait(at_most(15))


def ask(page: Page, text: str) -> None:
    page.get_by_label("Message").fill(text)
    page.get_by_role("button", name="Send").click()


def test_what_the_assistant_prepared_is_filled_once_it_is_approved_on_the_card(
    page: Page, chat_url: str, server: Server
) -> None:
    page.goto(chat_url)
    ask(page, "buy 0.5 BTC/USD")
    card = page.locator("li.card")
    expect(card.locator(".summary")).to_contain_text("BTC/USD", timeout=at_most(20) * 1000)
    assert "filled" not in orders_of(server)
    assert axe_finds(page) == []
    resize(page, 390)
    assert beyond(page) == 0
    card.get_by_role("button", name="Approve").click()
    expect(card.get_by_role("status")).to_contain_text("The order is filled at", timeout=at_most(20) * 1000)
    assert orders_of(server)[-1] == "filled"


def test_what_is_rejected_is_dropped(page: Page, chat_url: str, server: Server) -> None:
    page.goto(chat_url)
    ask(page, "buy 0.25 BTC/USD")
    page.locator("li.card").get_by_role("button", name="Reject").click(timeout=at_most(20) * 1000)
    expect(page.locator("li.card").get_by_role("status")).to_have_text("It was dropped. Nothing was sent.")
    assert orders_of(server)[-1] != "filled"


def test_a_card_is_decided_by_the_browser_that_was_shown_it_and_from_no_other_site(chat_url: str) -> None:
    with (
        httpx2.Client(base_url=chat_url, timeout=at_most(30)) as mine,
        httpx2.Client(base_url=chat_url, timeout=at_most(30)) as others,
    ):
        shown = mine.post("/messages", json={"text": "buy 0.1 BTC/USD"})
        (card,) = [line for line in map(httpx2_json, shown.text.splitlines()) if line["kind"] == "card"]
        decision = {"confirmation_id": card["confirmation_id"], "approved": True}
        assert others.post("/decisions", json=decision).json()["kind"] == "error"
        elsewhere = {"origin": "https://evil.example"}
        assert mine.post("/decisions", json=decision, headers=elsewhere).status_code == 400
        assert mine.post("/decisions", content=b"{}", headers={"content-type": "text/plain"}).status_code == 400
        assert mine.post("/decisions", json=decision).json()["kind"] == "decided"
        assert mine.post("/decisions", json=decision).json()["text"] == "This card was decided already."


def httpx2_json(line: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx2.Response(200, content=line).json()
    return found


@pytest.mark.parametrize("body", [{"text": ""}, {"text": "x" * 4001}, {"text": 5}, {}, []])
def test_what_is_no_message_is_refused(chat_url: str, body: object) -> None:
    assert httpx2.post(f"{chat_url}/messages", json=body, timeout=at_most(20)).status_code == 400


# -- models --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("style", "model_class", "path"), [(ANTHROPIC, Anthropic, ""), (OPENAI, OpenAI, "/v1")], ids=[ANTHROPIC, OPENAI]
)
def test_a_model_reads_prepares_and_is_never_given_the_confirmation(
    server: Server, settings_of_chat: Settings, style: str, model_class: type[Anthropic | OpenAI], path: str
) -> None:
    steps = [
        Step(tool="get_quote", words="price", arguments={"symbols": ["BTC/USD"]}),
        Step(tool="place_order", words="buy", arguments=ORDER),
    ]
    with ScriptedModel(steps).serving() as model:
        settings = Settings(
            tradelatch_url=server.url,
            client_id=settings_of_chat.client_id,
            client_secret=settings_of_chat.client_secret,
            model_style=style,
            model_url=model.url + path,
            model_name="scripted",
            model_key="none",
        )

        async def work(found: Here) -> list[Event]:
            conversation = found.talk(model_class(found.http, settings))
            events = await said(conversation, "Buy half a bitcoin")
            (card,) = cards(events)
            events.append(await conversation.decide(card["confirmation_id"], approved=True))
            # What the page says of it goes to the model with the next message.
            return events + await said(conversation, "Thank you")

        events = here(settings, work)
    assert model.failures == []
    assert model.offered("place_order") is not None
    assert model.offered("confirm_trade") is None
    assert "".join(event["text"] for event in events if event["kind"] == "text") == DONE * 2
    (decided,) = [event for event in events if event["kind"] == "decided"]
    assert decided["text"].startswith("The order is filled at")
    assert [each.text for each in model.turns[-1].results][-1].count("confirmation_id")
    assert "I approved" in str(model.turns[-1].body["messages"])


class Eager:
    """A model that confirms by itself what it prepared."""

    def __init__(self) -> None:
        self.read: list[ToolAnswered] = []

    async def answer(
        self, system: str, messages: Sequence[Message], tools: Sequence[Tool]
    ) -> AsyncIterator[str | ToolUse]:
        self.read = [each for each in messages if isinstance(each, ToolAnswered)]
        match len(self.read):
            case 0:
                yield ToolUse("use_1", "place_order", ORDER)
            case 1:
                told = self.read[0].text
                start = told.index("cnf_") if "cnf_" in told else 0
                yield ToolUse("use_2", "confirm_trade", {"confirmation_id": told[start : start + 30]})
            case _:
                yield "I tried."


def test_a_model_that_confirms_by_itself_sends_nothing(server: Server, settings_of_chat: Settings) -> None:
    model = Eager()

    async def work(found: Here) -> list[Event]:
        return await said(found.talk(model), "Buy")

    before = orders_of(server).count("filled")
    events = here(settings_of_chat, work)
    assert model.read[1].is_error and "Only the person decides" in model.read[1].text
    assert len(cards(events)) == 1
    assert orders_of(server).count("filled") == before


class Endless:
    async def answer(
        self, system: str, messages: Sequence[Message], tools: Sequence[Tool]
    ) -> AsyncIterator[str | ToolUse]:
        yield ToolUse(f"use_{len(messages)}", "get_quote", {"symbols": ["BTC/USD"]})


def test_a_model_that_never_ends_is_stopped_and_the_next_message_is_answered(settings_of_chat: Settings) -> None:
    async def work(found: Here) -> tuple[list[Event], list[Event]]:
        conversation = found.talk(Endless())
        first = await said(conversation, "Go")
        conversation.model = Scripted()
        return first, await said(conversation, "hello")

    first, second = here(settings_of_chat, work)
    assert [event["kind"] for event in first].count("tool") == conversations.MOST_ROUNDS
    assert first[-1]["kind"] == "error" and "was stopped" in first[-1]["text"]
    assert second[-1]["kind"] == "text"


def test_a_model_that_cannot_be_reached_is_told_and_nothing_is_kept_of_the_half_exchange(
    settings_of_chat: Settings,
) -> None:
    settings = Settings(
        tradelatch_url=settings_of_chat.tradelatch_url,
        client_id=settings_of_chat.client_id,
        client_secret=settings_of_chat.client_secret,
        model_style=OPENAI,
        model_url=f"http://127.0.0.1:{serving.free_port()}",
        model_name="none",
    )

    async def work(found: Here) -> tuple[list[Event], Conversation]:
        conversation = found.talk(OpenAI(found.http, settings))
        return await said(conversation, "hello"), conversation

    events, conversation = here(settings, work)
    assert [event["kind"] for event in events] == ["error"]
    assert "cannot be reached" in events[0]["text"]
    assert conversation.messages == []


def test_who_leaves_in_the_middle_of_an_answer_leaves_no_half_exchange(settings_of_chat: Settings) -> None:
    async def work(found: Here) -> Conversation:
        conversation = found.talk(Endless())
        answer = conversation.say("Go")
        while (await anext(answer))["kind"] != "tool":
            pass
        assert len(conversation.messages) >= 2  # what was said, and a tool
        await answer.aclose()
        return conversation

    assert here(settings_of_chat, work).messages == []


# -- tokens --------------------------------------------------------------------------------------------------


def test_a_token_is_minted_again_five_minutes_before_it_ends(settings_of_chat: Settings) -> None:
    clock = [1000.0]

    async def work(found: Here) -> list[str]:
        platform = Platform(found.http, settings_of_chat, lambda: clock[0])
        user = await platform.new_user()
        tokens = [await platform.token(user)]
        lasts = user.ends_at - clock[0]
        clock[0] += lasts - REMINT_SECONDS
        tokens.append(await platform.token(user))
        clock[0] += 1
        # Asked for many times at once, it is minted once.
        tokens += await asyncio.gather(*(platform.token(user) for _ in range(5)))
        assert user.ends_at == clock[0] + lasts
        return tokens

    first, same, *new = here(settings_of_chat, work)
    assert first == same
    assert len(set(new)) == 1 and new[0] != first


def test_a_platform_with_a_wrong_secret_is_told_so(settings_of_chat: Settings) -> None:
    wrong = Settings(
        tradelatch_url=settings_of_chat.tradelatch_url,
        client_id=settings_of_chat.client_id,
        client_secret="wrong",
    )

    async def work(found: Here) -> list[Event]:
        return await said(found.talk(Scripted()), "my portfolio")

    (event,) = here(wrong, work)
    assert event["kind"] == "error"
    assert "secret" in event["text"]


# -- settings ------------------------------------------------------------------------------------------------

GIVEN = {"TRADELATCH_CLIENT_ID": "tlc_1", "TRADELATCH_CLIENT_SECRET": "s"}


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "Set TRADELATCH_CLIENT_ID and TRADELATCH_CLIENT_SECRET"),
        (GIVEN | {"MODEL_STYLE": "gemini"}, "set it to anthropic, openai or scripted"),
        (GIVEN | {"MODEL_STYLE": "openai"}, "set MODEL_URL and MODEL_NAME"),
        (GIVEN | {"PORT": "eighty"}, "a number from 1 to 65535"),
    ],
)
def test_what_is_missing_or_wrong_in_the_environment_is_told(environment: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Settings.from_environment(environment)


def test_secrets_do_not_stand_in_what_is_printed_of_the_settings() -> None:
    assert "sesame" not in repr(Settings.from_environment(GIVEN | {"TRADELATCH_CLIENT_SECRET": "sesame"}))
