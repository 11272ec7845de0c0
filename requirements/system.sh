#!/bin/sh
# Installs what Python packages do not bring. Without an argument: Pango, with which weasyprint draws text. With `dev`:
# npm, with which the descriptions of GitHub's API are fetched for tests (contracts.py), and Chromium, in which tests open the
# HTML report. With `java`: what Spark runs on.
set -eu
# Only what is missing is asked for: a machine may have Node.js from elsewhere, beside which Debian's npm can't be installed.
packages=""
case "${1:-}" in
    dev)
        what="npm or Chromium"
        test -f .cache/contracts/.stamp || command -v npm >/dev/null || packages="npm"
        test -n "${CHROMIUM:-}" || command -v chromium >/dev/null || command -v chromium-browser >/dev/null ||
            command -v google-chrome >/dev/null || packages="$packages chromium"
        ;;
    java)
        what="Java 17"
        command -v java >/dev/null || packages="openjdk-17-jre-headless"
        ;;
    *)
        what="Pango"
        python3 -c 'import ctypes.util, sys; sys.exit(not (ctypes.util.find_library("pango-1.0") and ctypes.util.find_library("pangoft2-1.0") and ctypes.util.find_library("harfbuzz-subset")))' 2>/dev/null ||
            packages="libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
        ;;
esac
if [ -z "$packages" ]; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing" $packages
    apt-get update -qq && apt-get install -y -qq --no-install-recommends $packages >/dev/null
else
    echo "$what is missing. Install it and run the same command again:" >&2
    echo "    sudo apt-get install --no-install-recommends $packages" >&2
    exit 1
fi
