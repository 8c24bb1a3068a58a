"use strict";

const log = document.getElementById("log");
const form = document.getElementById("ask");
const field = document.getElementById("text");
const send = form.querySelector("button");

function add(kind, text) {
  const item = document.createElement("li");
  item.className = kind;
  item.textContent = text;
  log.append(item);
  item.scrollIntoView({ block: "end" });
  return item;
}

async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error((await answer.json()).text);
  return answer;
}

// One JSON object a line, as it comes.
async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}

function addCard(event) {
  const card = document.getElementById("card").content.firstElementChild.cloneNode(true);
  card.querySelector(".summary").textContent = event.summary;
  const until = new Date(event.expires_at);
  card.querySelector(".time").textContent = `Until ${until.toLocaleTimeString()}`;
  card.querySelector(".approve").addEventListener("click", () => decide(card, event.confirmation_id, true));
  card.querySelector(".reject").addEventListener("click", () => decide(card, event.confirmation_id, false));
  log.append(card);
  card.scrollIntoView({ block: "end" });
}

async function decide(card, confirmationId, approved) {
  const buttons = card.querySelectorAll("button");
  const outcome = card.querySelector(".outcome");
  buttons.forEach((button) => { button.disabled = true; });
  outcome.hidden = false;
  outcome.textContent = "…";
  try {
    const event = await (await post("/decisions", { confirmation_id: confirmationId, approved })).json();
    outcome.textContent = event.text;
    card.classList.add("is-decided");
    if (event.kind === "decided") card.querySelector(".buttons").remove();
    else buttons.forEach((button) => { button.disabled = false; });
  } catch (error) {
    outcome.textContent = `It is not known whether that arrived: ${error.message}`;
    buttons.forEach((button) => { button.disabled = false; });
  }
}

form.addEventListener("submit", async (submitted) => {
  submitted.preventDefault();
  const text = field.value.trim();
  if (!text || send.disabled) return;
  field.value = "";
  send.disabled = true;
  add("person", text);
  let speaking = null;
  try {
    for await (const event of events(await post("/messages", { text }))) {
      if (event.kind === "text") {
        speaking ??= add("assistant", "");
        speaking.textContent += event.text;
        speaking.scrollIntoView({ block: "end" });
      } else {
        speaking = null;
        if (event.kind === "tool") add("tool", event.name);
        else if (event.kind === "card") addCard(event);
        else add("error", event.text);
      }
    }
  } catch (error) {
    add("error", error.message);
  }
  send.disabled = false;
  field.focus();
});

field.addEventListener("keydown", (pressed) => {
  if (pressed.key === "Enter" && !pressed.shiftKey && !pressed.isComposing) {
    pressed.preventDefault();
    form.requestSubmit();
  }
});
