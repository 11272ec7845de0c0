#!/usr/bin/env bash
# One task of a Cloud Run Job with several: collects its part into the mounted bucket, under the execution's own name.
#
#   STORE   folder; on Cloud Run a mounted bucket
#   SCOPE   scope file                                     (compliancectl.yaml)
#   CLOUD_RUN_EXECUTION, CLOUD_RUN_TASK_INDEX, CLOUD_RUN_TASK_COUNT   set by Cloud Run
set -euo pipefail

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
code=0
compliancectl collect --scope "${SCOPE:-compliancectl.yaml}" --output "$work/shard" || code=$?
if [ "$code" -ne 0 ] && [ "$code" -ne 3 ]; then
    exit "$code"
fi
mkdir -p "$STORE/shards/$CLOUD_RUN_EXECUTION"
cp -r "$work/shard" "$STORE/shards/$CLOUD_RUN_EXECUTION/$CLOUD_RUN_TASK_INDEX"
# What could not be read is in the evidence, and makes the merged run inconclusive; trying this task again would not help.
exit 0
