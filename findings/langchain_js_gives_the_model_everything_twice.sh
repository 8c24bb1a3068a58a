#!/usr/bin/env bash
# @langchain/mcp-adapters 1.1.4 (JavaScript): a result of one text and a structure reaches the model as JSON text of an object that
# holds both, the text escaped once more; a result of two texts and a structure reaches it without the structure.
# A result that is a structure alone is an empty list. @openai/agents 0.20.0 turns additionalProperties false into true.
# Expected: text for the model and the structure for the program, as the Python package does. Seen: as above.
# For us: one text per result, the same JSON as the structure, short enough to be read twice.
source "$(dirname "$0")/lib/common.sh"
mcp_server
cd "$dir"
npm init --yes > /dev/null
npm install --silent --no-audit --no-fund @langchain/mcp-adapters@1.1.4 @langchain/core@1 @openai/agents@0.20.0 zod@4 > npm.log 2>&1 || { cat npm.log >&2; exit 1; }
cat > seen.mjs << 'JS'
import assert from "node:assert";
import { MultiServerMCPClient } from "@langchain/mcp-adapters";
import { getAllMcpTools, MCPServerStreamableHttp } from "@openai/agents";

const client = new MultiServerMCPClient({ mcpServers: { desk: { transport: "http", url: process.env.url } } });
const tools = Object.fromEntries((await client.getTools()).map((tool) => [tool.name, tool]));
const call = async (name, args) => (await tools[name].invoke({ type: "tool_call", id: "1", name, args })).content;
const one = await call("quote", { symbol: "AAPL" });
console.log("@langchain/mcp-adapters 1.1.4, one text and a structure:", one);
assert.deepEqual(Object.keys(JSON.parse(one)), ["type", "text", "structuredContent"]);
const two = await call("both", {});
console.log("@langchain/mcp-adapters 1.1.4, two texts and a structure:", JSON.stringify(two));
assert(!JSON.stringify(two).includes("4.350"));
assert.deepEqual(await call("only", {}), []);
await client.close();

const server = new MCPServerStreamableHttp({ url: process.env.url, name: "desk" });
await server.connect();
const [quote] = await getAllMcpTools({ mcpServers: [server] });
console.log("@openai/agents 0.20.0, additionalProperties:", quote.parameters.additionalProperties);
assert.equal(quote.parameters.additionalProperties, true);
await server.close();
process.exit(0);
JS
node seen.mjs
