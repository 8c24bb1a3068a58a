#!/usr/bin/env bash
# Install the MCP hosts that make clients drives, and the Node they need, below .test-tools.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=.test-tools/hosts
mkdir -p "$folder"
if cmp -s tests/hosts/package.json "$folder/package.json" && [ -d "$folder/node_modules" ]; then
    exit 0
fi
command -v npm > /dev/null || { echo "make clients needs npm: install Node.js first." >&2; exit 1; }
echo "Installing MCP hosts and Node 22 from npm into $folder (about 660 MB) ..."
cp tests/hosts/package.json "$folder/package.json"
npm install --prefix "$folder" --silent --no-audit --no-fund || { rm "$folder/package.json"; exit 1; }
