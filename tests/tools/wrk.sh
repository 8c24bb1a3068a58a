#!/usr/bin/env bash
# The benchmark's load comes from wrk. Where it is missing, get it from the system's packages.
set -euo pipefail

if command -v wrk > /dev/null; then exit 0; fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get > /dev/null; then
    echo "The benchmark needs wrk: install it (Debian and Ubuntu: apt-get install wrk) and try again." >&2
    exit 1
fi
echo "Installing wrk for the benchmark with apt-get ..."
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends wrk > /dev/null
