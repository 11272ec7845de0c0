#!/bin/sh
# Installs the one system library that Python packages do not bring: Pango, with which weasyprint draws text.
set -eu
if python3 -c 'import ctypes.util, sys; sys.exit(not (ctypes.util.find_library("pango-1.0") and ctypes.util.find_library("pangoft2-1.0") and ctypes.util.find_library("harfbuzz-subset")))' 2>/dev/null; then
    exit 0
fi
packages="libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing $packages"
    apt-get update -qq && apt-get install -y -qq --no-install-recommends $packages >/dev/null
else
    echo "Pango is missing. Install it and run the same command again:" >&2
    echo "    sudo apt-get install --no-install-recommends $packages" >&2
    exit 1
fi
