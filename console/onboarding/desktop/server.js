"use strict";
// One MCP host on standard input and output, one Tradelatch instance over HTTP: every message is passed on as it is.
// Needs Node.js 18 and nothing else. The key is in the environment, never in an argument.

const readline = require("node:readline");

const url = process.env.MCP_URL || "";
const key = process.env.TRADELATCH_API_KEY || "";
const NAMED_BY = { "tools/call": "name", "prompts/get": "name", "resources/read": "uri" };
const inFlight = new Map();
let version = "";
let running = 0;
let ended = false;

function log(text) {
  process.stderr.write(`tradelatch: ${text}\n`);
}

function send(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

function refuse(id, text) {
  if (id !== undefined) send({ jsonrpc: "2.0", id, error: { code: -32603, message: text } });
}

// A modern host says its version in each message, an older one once, in initialize.
function headersFor(message) {
  const params = message.params || {};
  const modern = (params._meta || {})["io.modelcontextprotocol/protocolVersion"];
  const headers = {
    Authorization: `Bearer ${key}`,
    Accept: "application/json, text/event-stream",
    "Content-Type": "application/json",
    "User-Agent": "tradelatch-mcpb",
  };
  if (modern || version) headers["MCP-Protocol-Version"] = modern || version;
  if (modern) {
    headers["Mcp-Method"] = message.method;
    const name = params[NAMED_BY[message.method]];
    if (name) headers["Mcp-Name"] = encoded(String(name));
  }
  return headers;
}

// What is not plain ASCII goes as base64 between marks (MCP 2026-07-28, streamable HTTP, "Value Encoding").
function encoded(name) {
  const plain = /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(name) && !/^=\?base64\?.*\?=$/.test(name);
  return plain ? name : `=?base64?${Buffer.from(name, "utf8").toString("base64")}?=`;
}

function told(message, request) {
  if (request.method === "initialize" && message.id === request.id && message.result) {
    version = message.result.protocolVersion || "";
  }
  send(message);
}

async function readEvents(body, request) {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    const events = rest.split(/\r?\n\r?\n/);
    rest = events.pop();
    for (const event of events) {
      const data = event.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim());
      if (data.length && data.join("")) told(JSON.parse(data.join("\n")), request);
    }
  }
}

async function passOn(message) {
  const stop = new AbortController();
  if (message.id !== undefined) inFlight.set(message.id, stop);
  const answer = await fetch(url, {
    method: "POST",
    headers: headersFor(message),
    body: JSON.stringify(message),
    redirect: "error",
    signal: stop.signal,
  });
  const kind = answer.headers.get("content-type") || "";
  if (answer.ok && kind.startsWith("text/event-stream")) {
    await readEvents(answer.body, message);
    return;
  }
  const text = await answer.text();
  let body;
  try {
    body = text ? JSON.parse(text) : undefined;
  } catch {
    body = undefined;
  }
  if (body && body.jsonrpc === "2.0") told(body, message);
  else if (!answer.ok) {
    const why = (body && (body.error_description || body.detail)) || `HTTP ${answer.status}`;
    log(`${message.method}: ${why}`);
    refuse(message.id, why);
  } else if (message.id !== undefined) refuse(message.id, "The instance gave no answer.");
}

function leaveWhenDone() {
  if (ended && running === 0) process.exit(0);
}

// An optional value that was left empty arrives as the text of its own placeholder.
if (!url || !key || key.startsWith("${")) {
  log("There is no API key. Make one in the console under API keys and enter it in the settings of this extension.");
  process.exit(1);
}

readline
  .createInterface({ input: process.stdin, crlfDelay: Infinity })
  .on("line", (line) => {
    if (!line.trim()) return;
    let message;
    try {
      message = JSON.parse(line);
    } catch {
      send({ jsonrpc: "2.0", id: null, error: { code: -32700, message: "A line was not well-formed JSON." } });
      return;
    }
    if (!message || typeof message.method !== "string") return;
    if (message.method === "notifications/cancelled") {
      const stop = inFlight.get((message.params || {}).requestId);
      if (stop) stop.abort();
      return;
    }
    running += 1;
    passOn(message)
      .catch((error) => {
        if (error.name === "AbortError") return;
        log(`${message.method}: ${error.message}`);
        refuse(message.id, `Tradelatch does not answer at ${url}. Does it run? ${error.message}`);
      })
      .finally(() => {
        running -= 1;
        inFlight.delete(message.id);
        leaveWhenDone();
      });
  })
  .on("close", () => {
    ended = true;
    leaveWhenDone();
  });
