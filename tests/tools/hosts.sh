#!/usr/bin/env bash
# Install the MCP hosts that make clients and make conformance drive, and the Node they need, below .test-tools.
set -euo pipefail
cd "$(dirname "$0")/../.."

# In an environment of its own: what it depends on is not what our lock file holds.
fastmcp=4.1.2
environment=.test-tools/fastmcp
if ! [ -e "$environment/$fastmcp" ]; then
    echo "Installing fastmcp $fastmcp into $environment (about 135 MB) ..."
    rm -rf "$environment"
    .venv/bin/python -m venv "$environment"
    "$environment/bin/pip" --disable-pip-version-check install --quiet --quiet "fastmcp==$fastmcp"
    touch "$environment/$fastmcp"
fi

folder=.test-tools/hosts
mkdir -p "$folder"
if cmp -s tests/hosts/package.json "$folder/package.json" && [ -d "$folder/node_modules" ]; then
    exit 0
fi
command -v npm > /dev/null || { echo "The MCP hosts need npm: install Node.js first." >&2; exit 1; }
echo "Installing MCP hosts and Node 22 from npm into $folder (about 1 GB) ..."
cp tests/hosts/package.json "$folder/package.json"
npm install --prefix "$folder" --silent --no-audit --no-fund || { rm "$folder/package.json"; exit 1; }
