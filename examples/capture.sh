#!/usr/bin/env bash
# One capture: run, store the bundle, say what turned since the last one. For cron and for Cloud Run Jobs.
#
#   STORE     folder of bundles; on Cloud Run a mounted bucket. Nothing in it is ever changed.
#   SCOPE     scope file                                   (compliancectl.yaml)
#   SHARDS    folder of the shards of one run, to merge instead of collecting            (none: collects)
#   WORK      where to work; emptied at the end            (a new temporary folder)
#   FAIL_ON   inconclusive, deviations or never            (inconclusive)
#   FAIL_SEVERITY   low, medium, high or critical          (low)
#   REPORT    kind of report; reports can be made from the bundle at any time            (none)
#   WEBHOOK   Slack-compatible address to post to          (none: what turned is written to stdout)
#   ISSUE     OWNER/REPO that keeps an issue of what is open; needs `issues: write` there            (none)
#   ISSUES_TOKEN    token to write it with                 (none: the scope file's connection)
#   COMPLIANCECTL_SIGNING_KEY   private key to seal with
set -euo pipefail

scope="${SCOPE:-compliancectl.yaml}"
work="${WORK:-$(mktemp -d)}"
trap 'rm -rf "$work"' EXIT
mkdir -p "$STORE" "$work"

before="$(find "$STORE" -name '*.zip' | sort | tail -n 1)"

report=(--no-report)
if [ -n "${REPORT:-}" ]; then report=(--report "$REPORT"); fi
command=(run)
if [ -n "${SHARDS:-}" ]; then command=(merge "$SHARDS"/*/); fi
code=0
compliancectl "${command[@]}" --scope "$scope" --output "$work/evidence" \
    "${report[@]}" --fail-on "${FAIL_ON:-inconclusive}" --fail-severity "${FAIL_SEVERITY:-low}" || code=$?
bundle="$work/evidence/bundle.zip"
if [ ! -e "$bundle" ]; then
    exit "$code" # nothing was sealed; the message above says why
fi

# Under a name of its own, in one step: a reader never sees half of it, and no capture replaces another.
name="$(date -u +%Y-%m-%dT%H%M%S.%NZ).zip"
cp "$bundle" "$STORE/.$name"
mv -n "$STORE/.$name" "$STORE/$name"
echo "stored $STORE/$name"

if [ -n "$before" ]; then
    compliancectl notify "$before" "$STORE/$name" --only-turns --as slack > "$work/message.json"
    if [ -s "$work/message.json" ] && [ -n "${WEBHOOK:-}" ]; then
        curl --fail --silent --show-error --header 'Content-Type: application/json' \
            --data "@$work/message.json" "$WEBHOOK"
    else
        cat "$work/message.json"
    fi
fi

if [ -n "${ISSUE:-}" ]; then
    token=()
    if [ -n "${ISSUES_TOKEN:-}" ]; then token=(--token-env ISSUES_TOKEN); fi
    kept=0
    compliancectl notify "$STORE/$name" --scope "$scope" --github-issue "$ISSUE" ${token[@]+"${token[@]}"} || kept=$?
    if [ "$kept" -gt "$code" ]; then code="$kept"; fi # the bundle is stored; that the issue is not kept shows
fi
exit "$code"
