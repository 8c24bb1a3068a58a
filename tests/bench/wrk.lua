-- One POST again and again, with the bearers in turn where there are several. Every answer is checked: its status, and a text that only a good one has.
-- BENCH_FILES: a folder with "headers" (a line each), "body", "expected" and "keys" (a line each, or none).
local folder = os.getenv("BENCH_FILES")
local threads = {}

local function read(name)
  local file = assert(io.open(folder .. "/" .. name, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  wrk.method = "POST"
  wrk.body = read("body")
  for name, value in read("headers"):gmatch("([^:\n]+): ([^\n]*)\n") do
    wrk.headers[name] = value
  end
  expected = read("expected")
  good = 0
  bad = 0
  first = ""
  prepared = {}
  for key in read("keys"):gmatch("[^\n]+") do
    wrk.headers["Authorization"] = "Bearer " .. key
    table.insert(prepared, wrk.format())
  end
  if #prepared == 0 then prepared[1] = wrk.format() end
  turn = 0
end

function request()
  turn = turn % #prepared + 1
  return prepared[turn]
end

function response(status, headers, body)
  if status == 200 and body:find(expected, 1, true) then
    good = good + 1
  else
    bad = bad + 1
    if first == "" then first = status .. " " .. body:sub(1, 300) end
  end
end

function done(summary, latency, requests)
  local good, bad, first = 0, 0, ""
  for _, thread in ipairs(threads) do
    good = good + thread:get("good")
    bad = bad + thread:get("bad")
    if first == "" then first = thread:get("first") end
  end
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d\n", good, bad, e.connect + e.read + e.write + e.timeout,
    summary.duration, latency:percentile(50)))
  if first ~= "" then io.write("FIRST " .. first:gsub("\n", " ") .. "\n") end
end
