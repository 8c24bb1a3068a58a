#!/usr/bin/env bash
# Install what make hosts runs beside the hosts of make clients, below .test-tools: programs from npm, libraries from pip.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v npm > /dev/null || { echo "The MCP hosts need npm: install Node.js first." >&2; exit 1; }

echo "make hosts needs Claude Code, Codex, Gemini CLI, Qwen Code, opencode, Copilot CLI and the AI SDK from npm, and"
echo "openai-agents, pydantic-ai and LangChain from pip: about 2.5 GB in .test-tools, fetched once."
tests/tools/hosts.sh

# Each in an environment of its own: what they depend on is not what our lock file holds.
for name in agents langchain; do
    environment=.test-tools/$name
    if ! cmp -s "tests/hosts/scripted/$name.txt" "$environment/installed.txt"; then
        echo "Installing $(tr '\n' ' ' < "tests/hosts/scripted/$name.txt")into $environment (about 200 MB) ..."
        rm -rf "$environment"
        .venv/bin/python -m venv "$environment"
        "$environment/bin/pip" --disable-pip-version-check install --quiet --quiet -r "tests/hosts/scripted/$name.txt"
        cp "tests/hosts/scripted/$name.txt" "$environment/installed.txt"
    fi
done

folder=.test-tools/scripted
mkdir -p "$folder"
if ! cmp -s tests/hosts/scripted/package.json "$folder/package.json" || ! [ -d "$folder/node_modules" ]; then
    echo "Installing hosts from npm into $folder (about 1.2 GB) ..."
    cp tests/hosts/scripted/package.json "$folder/package.json"
    npm install --prefix "$folder" --silent --no-audit --no-fund || { rm "$folder/package.json"; exit 1; }
fi
