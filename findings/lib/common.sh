# Sourced by every finding: a folder of its own that is removed at the end, and the two ways to get packages into it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=$(mktemp -d)
server=
finish() {
    if [ -n "$server" ]; then kill "$server" 2> /dev/null || true; fi
    rm -rf "$dir"
}
trap finish EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1

# venv NAME PACKAGE==VERSION ...: a virtual environment at $dir/NAME
venv() {
    local name=$1
    shift
    "${PYTHON:-python3}" -m venv "$dir/$name"
    "$dir/$name/bin/pip" install --quiet "$@" 2> "$dir/pip.log" || { cat "$dir/pip.log" >&2; exit 1; }
}

# mcp_server: the server of mcp_server.py on loopback, by the official SDK; its address in $url
mcp_server() {
    venv server mcp==2.3.0
    "$dir/server/bin/python" "$here/mcp_server.py" > "$dir/port" 2> "$dir/server.log" &
    server=$!
    for _ in $(seq 150); do
        if [ -s "$dir/port" ]; then break; fi
        kill -0 "$server" 2> /dev/null || { cat "$dir/server.log" >&2; exit 1; }
        sleep 0.2
    done
    export url="http://127.0.0.1:$(cat "$dir/port")/mcp"
}
