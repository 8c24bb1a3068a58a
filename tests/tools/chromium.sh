#!/usr/bin/env bash
# The browser tests drive Chromium. Where it is missing, get it from the system's packages.
set -euo pipefail

if command -v chromium > /dev/null; then exit 0; fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get > /dev/null; then
    echo "The browser tests need Chromium: install it (Debian and Ubuntu: apt-get install chromium) and try again." >&2
    exit 1
fi
echo "Installing Chromium for the browser tests with apt-get ..."
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends chromium > /dev/null
