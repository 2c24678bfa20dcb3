#!/usr/bin/env bash
# What the tests with the marker `browser` look at pages with: Chromium, from Debian's packages. Needs root.
set -euo pipefail
command -v chromium > /dev/null && exec chromium --version
apt-get update
DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends chromium fonts-dejavu-core
chromium --version
