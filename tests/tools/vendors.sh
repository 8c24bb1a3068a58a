#!/usr/bin/env bash
# Install the venues' own client libraries that make vendors runs, each in an environment of its own below .test-tools:
# what they depend on is not what our lock file holds, and two of them cannot be in one.
set -euo pipefail
cd "$(dirname "$0")/../.."

for list in tests/vendors/requirements/*.txt; do
    environment=.test-tools/vendors/$(basename "$list" .txt)
    if cmp -s "$list" "$environment/requirements.txt"; then
        continue
    fi
    echo "Installing the vendors' clients of $list into $environment ..."
    rm -rf "$environment"
    .venv/bin/python -m venv "$environment"
    "$environment/bin/pip" --disable-pip-version-check install --quiet --quiet --require-hashes --requirement "$list"
    cp "$list" "$environment/requirements.txt"
done
