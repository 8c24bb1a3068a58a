#!/usr/bin/env bash
# mcpadapt 0.1.19 (smolagents' way to MCP) and autogen-ext 0.7.5 name no upper bound for the SDK: a fresh install takes mcp 2.3.0,
# and then neither can be imported. With mcp below 2, autogen-ext works; mcpadapt also wants websockets, which its
# requirement mcp[ws] brings only there.
# Expected: what pip installs can be imported. Seen: ImportError in both.
# For us: the guides for these two say 'mcp<2' in the line that installs them.
source "$(dirname "$0")/lib/common.sh"
for package in mcpadapt==0.1.19:mcpadapt.core 'autogen-ext[mcp]==0.7.5:autogen_ext.tools.mcp'; do
    venv "${package##*:}" "${package%:*}" mcp==2.3.0
    if "$dir/${package##*:}/bin/python" -W ignore -c "import ${package##*:}" 2> "$dir/why"; then
        echo "${package%:*} imports beside mcp 2.3.0 now" >&2
        exit 1
    fi
    echo "${package%:*}: $(tail -n 1 "$dir/why" | sed 's/ (.*//')"
    grep -q 'ImportError: cannot import name' "$dir/why"
done
