#!/usr/bin/env bash
# Prometheus' own test scripts for the query language.
set -euo pipefail
data=${FOURSIGHT_CONFORMANCE:-../shared/conformance}/promql
[ -d "$data" ] || { echo "no conformance data at $data: nothing to run"; exit 0; }
target/release/foursight tool promqltest "$data"/*.test
