// Calls /mcp as an app would, with a key for ten minutes that is kept in this variable and nowhere else.

const root = document.querySelector("[data-playground]");
const part = (name, within = root) => within.querySelector(`[data-${name}]`);
const [starting, session, calling] = [part("start"), part("session"), part("call")];
const PROTOCOL = "2026-07-28";
let key = null; // secret, hint, public_id, ends
let tools = [];
let tool = null;
let calls = 0;

starting.hidden = false;

function show(name, text) {
  const element = part(name);
  element.textContent = text;
  element.hidden = !text;
}

function tag(text, kind = "tag") {
  const element = document.createElement("span");
  element.className = kind;
  element.textContent = text;
  return element;
}

function bytes(count) {
  return count < 1000 ? `${count} bytes` : `${(count / 1000).toFixed(1)} kB`;
}

// Start and end

starting.addEventListener("submit", async (event) => {
  event.preventDefault();
  show("problem", "");
  let made;
  const body = new FormData(starting);
  body.set("answer", "json");
  try {
    const answer = await fetch(starting.action, { method: "POST", body });
    // Signed out meanwhile: the sign-in page came instead.
    if (answer.redirected) return location.reload();
    made = await answer.json();
    // Trading takes a proof of presence: the page that asks for it comes back here.
    if (made.code === "re_authentication_required") return starting.submit();
    if (!answer.ok) return show("problem", made.message);
  } catch {
    return show("problem", "Tradelatch did not answer. Try again.");
  }
  await begin(made);
});

async function begin(made) {
  key = { ...made, ends: Date.now() + made.seconds * 1000 };
  part("name").textContent = made.name;
  part("name").href = made.url;
  const word = made.environment === "paper" ? "Paper" : "Live";
  part("environment").replaceChildren(tag(word, word === "Paper" ? "tag-paper" : "tag-live"));
  document.title = `${made.name} (${word}) · Tradelatch`;
  starting.hidden = true;
  session.hidden = false;
  tick();
  await list();
}

part("stop").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.currentTarget;
  const body = new FormData(form);
  body.set("key", key?.public_id ?? "");
  key = null;
  await fetch(form.action, { method: "POST", body }).catch(() => null);
  location.reload();
});

function tick() {
  if (!key) return;
  const left = Math.max(0, Math.round((key.ends - Date.now()) / 1000));
  const clock = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
  part("about").textContent = `${key.connection}, ${key.may.toLowerCase()}. ${left ? `Ends in ${clock}` : "Ended: start again"}`;
  if (left) setTimeout(tick, 1000);
}

// One message to /mcp, and what came back

async function send(method, params) {
  const meta = {
    "io.modelcontextprotocol/protocolVersion": PROTOCOL,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": { name: "tradelatch-playground", version: root.dataset.version },
  };
  const body = { jsonrpc: "2.0", id: ++calls, method, params: { ...params, _meta: meta } };
  const headers = {
    "Content-Type": "application/json",
    Accept: "application/json, text/event-stream",
    "MCP-Protocol-Version": PROTOCOL,
    "Mcp-Method": method,
    ...(params.name ? { "Mcp-Name": params.name } : {}),
  };
  const began = performance.now();
  const answer = await fetch(root.dataset.mcp, {
    method: "POST",
    headers: { ...headers, Authorization: `Bearer ${key.secret}` },
    body: JSON.stringify(body),
    credentials: "omit",
    cache: "no-store",
  });
  const text = await answer.text();
  const took = performance.now() - began;
  const said = messageIn(text);
  const lines = Object.entries({ ...headers, Authorization: `Bearer ${key.hint}` });
  const request = `POST /mcp\n${lines.map(([name, value]) => `${name}: ${value}`).join("\n")}\n\n${pretty(body)}`;
  return { answer, text, said, took, request, size: new TextEncoder().encode(text).length };
}

// A long call is answered as a stream: the message is in its last event.
function messageIn(text) {
  const events = text.split("\n").filter((line) => line.startsWith("data:"));
  for (const candidate of [text, events.at(-1)?.slice(5) ?? ""]) {
    try {
      return JSON.parse(candidate);
    } catch {
      continue;
    }
  }
  return null;
}

const pretty = (value) => JSON.stringify(value, null, 2);

// The tools

async function list() {
  tools = [];
  let size = 0;
  for (let cursor; ; ) {
    const page = await send("tools/list", cursor ? { cursor } : {}).catch(() => null);
    if (!page) return say({ code: "no_answer", message: "Tradelatch did not answer. Try again." });
    const found = page.said?.result?.tools;
    if (!found) return report(page);
    tools.push(...found);
    size += page.size;
    cursor = page.said.result.nextCursor;
    if (!cursor) break;
  }
  part("size").textContent = `${tools.length}, ${bytes(size)} as sent`;
  part("tools").replaceChildren(...tools.map(entry));
}

function entry(each) {
  const [item, button] = [document.createElement("li"), document.createElement("button")];
  button.type = "button";
  button.textContent = each.name;
  button.addEventListener("click", () => choose(each));
  item.append(button);
  return item;
}

function choose(each, given = {}) {
  tool = each;
  for (const button of part("tools").querySelectorAll("button")) {
    if (button.textContent === each.name) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
  part("tool").textContent = each.name;
  part("description").textContent = each.description ?? "";
  const hints = each.annotations ?? {};
  const kind = hints.readOnlyHint ? "Reads" : hints.destructiveHint ? "Trades" : "Changes";
  part("kind").replaceChildren(tag(kind));
  const properties = Object.entries(each.inputSchema?.properties ?? {});
  const required = new Set(each.inputSchema?.required ?? []);
  part("fields").replaceChildren(...properties.map(([name, schema]) => field(name, schema, required.has(name))));
  part("go").disabled = false;
  fill(given);
}

// The form, from the schema

function field(name, schema, required) {
  const [box, label] = [document.createElement("div"), document.createElement("label")];
  box.className = "field";
  const input = control(schema);
  input.id = `argument-${name}`;
  input.dataset.argument = name;
  label.htmlFor = input.id;
  label.textContent = required ? `${name} (required)` : name;
  const hints = [schema.description, hint(schema)].filter(Boolean).join(" ");
  box.append(label, input);
  if (hints) {
    const help = document.createElement("p");
    help.className = "help";
    help.id = `${input.id}-help`;
    help.textContent = hints;
    input.setAttribute("aria-describedby", help.id);
    box.append(help);
  }
  return box;
}

function control(schema) {
  const choices = schema.type === "boolean" ? ["true", "false"] : schema.enum;
  if (choices) {
    const select = document.createElement("select");
    select.append(new Option("Left out", ""), ...choices.map((choice) => new Option(choice, choice)));
    return select;
  }
  const input = document.createElement(isJson(schema) ? "textarea" : "input");
  input.autocomplete = "off";
  input.spellcheck = false;
  if (schema.type === "integer" || schema.type === "number") {
    input.type = "number";
    input.step = schema.type === "integer" ? "1" : "any";
  }
  return input;
}

const isList = (schema) => schema.type === "array" && schema.items?.type === "string";
const isJson = (schema) => !isList(schema) && !["string", "integer", "number", "boolean"].includes(schema.type);

function hint(schema) {
  if (isList(schema)) return `Several apart by commas${schema.maxItems ? `, at most ${schema.maxItems}` : ""}.`;
  if (isJson(schema)) return "As JSON.";
  if (schema.minimum !== undefined && schema.maximum !== undefined) return `${schema.minimum} to ${schema.maximum}.`;
  return "";
}

function read(input, schema) {
  const text = input.value.trim();
  if (schema.type === "boolean") return text === "true";
  if (schema.type === "integer" || schema.type === "number") return Number(text);
  if (isList(schema)) return text.split(",").map((word) => word.trim()).filter(Boolean);
  return isJson(schema) ? JSON.parse(text) : text;
}

function write(value, schema) {
  if (value === undefined || value === null) return "";
  if (isList(schema) && Array.isArray(value)) return value.join(", ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

const inputs = () => [...part("fields").querySelectorAll("[data-argument]")];
const schemaOf = (input) => tool.inputSchema.properties[input.dataset.argument];

function fill(given) {
  for (const input of inputs()) input.value = write(given[input.dataset.argument], schemaOf(input));
  part("json").value = pretty(given);
  show("json-problem", "");
}

part("fields").addEventListener("input", () => {
  const given = {};
  try {
    for (const input of inputs()) if (input.value.trim()) given[input.dataset.argument] = read(input, schemaOf(input));
  } catch {
    return show("json-problem", "One of the fields is not valid JSON.");
  }
  part("json").value = pretty(given);
  show("json-problem", "");
});

part("json").addEventListener("input", () => {
  const given = parsed();
  if (given && tool) {
    for (const input of inputs()) input.value = write(given[input.dataset.argument], schemaOf(input));
  }
});

function parsed() {
  try {
    const given = JSON.parse(part("json").value);
    if (given === null || typeof given !== "object" || Array.isArray(given)) throw new TypeError();
    show("json-problem", "");
    return given;
  } catch {
    show("json-problem", "This is not a JSON object.");
    return null;
  }
}

// The call and its answer

calling.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!tool || !key || !part("json-problem").hidden) return reveal();
  const given = parsed();
  if (!given) return reveal();
  part("go").disabled = true;
  part("go").textContent = "Calling…";
  try {
    report(await send("tools/call", { name: tool.name, arguments: given }));
  } catch {
    say({ code: "no_answer", message: "Tradelatch did not answer. Check Activity before you repeat an order." });
  } finally {
    part("go").disabled = false;
    part("go").textContent = "Call";
  }
});

function reveal() {
  part("json").closest("details").open = true;
  part("json").focus();
}

function say(refusal) {
  part("refused").hidden = !refusal;
  if (refusal) {
    const link = document.createElement("a");
    link.href = `${root.dataset.codes}${refusal.code}/`;
    link.textContent = refusal.code;
    part("code").replaceChildren(refusal.code === "no_answer" ? "No answer" : link);
    part("message").textContent = refusal.message;
  }
  part("answer").hidden = false;
}

function refusalIn({ answer, said }) {
  const content = said?.result?.structuredContent;
  if (said?.result?.isError) return content?.error ?? { code: "", message: said.result.content?.[0]?.text ?? "" };
  if (said?.error?.message) return { code: said.error.data?.code ?? String(said.error.code), message: said.error.message };
  if (!answer.ok) return { code: said?.code ?? String(answer.status), message: said?.error_description ?? answer.statusText };
  return null;
}

function report(outcome) {
  const { answer, text, said, took, request, size } = outcome;
  say(refusalIn(outcome));
  part("status").textContent = `${answer.status} ${answer.statusText}, ${took.toFixed(took < 10 ? 1 : 0)} ms, ${bytes(size)}`;
  const id = answer.headers.get("x-request-id");
  const trace = document.createElement("a");
  trace.className = "mono";
  trace.href = `${root.dataset.callPage}${id}/`;
  trace.textContent = id ?? "";
  const noted = said?.result?.structuredContent?.context?.request_id === id;
  part("trace").replaceChildren("Request ", noted ? trace : trace.textContent);
  const shown = [...answer.headers].filter(([name]) => !["date", "server"].includes(name));
  const head = shown.map(([name, value]) => `${name}: ${value}`).join("\n");
  const content = said?.result?.structuredContent;
  part("answer-text").textContent = content ? pretty(content) : said ? pretty(said) : text;
  part("wire-answer").textContent = `HTTP ${answer.status} ${answer.statusText}\n${head}\n\n${said ? pretty(said) : text}`;
  part("wire-request").textContent = request;
  part("wire").hidden = false;
  offer(content ?? {});
  part("answer").scrollIntoView({ block: "nearest" });
}

// An order waits for its confirmation: the next call, filled in and not made.
function offer({ confirmation_id: confirmation, summary = "" }) {
  const confirm = tools.find((each) => each.name === "confirm_trade");
  part("next").hidden = !confirmation || !confirm;
  if (part("next").hidden) return;
  part("next-words").textContent = `${summary} Nothing was sent. If you agree, confirm within ${root.dataset.confirmationTime}.`;
  part("next-go").textContent = "Fill in confirm_trade";
  part("next-go").onclick = () => {
    choose(confirm, { confirmation_id: confirmation });
    part("next").hidden = true;
    calling.scrollIntoView({ block: "nearest" });
    part("go").focus();
  };
}

// Proved on the page before: its answer brought what was started.
const opened = document.getElementById("opened");
if (opened) {
  history.replaceState(null, "", root.dataset.page);
  await begin(JSON.parse(opened.textContent));
}
