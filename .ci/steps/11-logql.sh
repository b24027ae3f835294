#!/usr/bin/env bash
# The log server against answers recorded from the peer.
set -euo pipefail
data=${FOURSIGHT_CONFORMANCE:-../shared/conformance}/logql
[ -d "$data" ] || { echo "no conformance data at $data: nothing to run"; exit 0; }
dir=$(mktemp -d)
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -rf "$dir"' EXIT
cat >"$dir/loki.yaml" <<YAML
auth_enabled: false
server:
  http_listen_port: 0
  http_listen_address: 127.0.0.1
common:
  path_prefix: $dir/data
limits_config:
  reject_old_samples: false
  allow_structured_metadata: true
  volume_enabled: true
  discover_service_name: []
  discover_log_levels: false
  ingestion_rate_mb: 100
  ingestion_burst_size_mb: 200
query_range:
  align_queries_with_step: false
pattern_ingester:
  enabled: true
YAML
target/release/foursight logs -config.file="$dir/loki.yaml" >"$dir/log" 2>&1 &
server=$!
for _ in $(seq 100); do
    url=$(grep -o 'http://127.0.0.1:[0-9]*' "$dir/log" | head -n 1 || true)
    [ -n "$url" ] && curl -fs "$url/ready" >/dev/null && break
    sleep 0.1
done
python3 "$data/run_cases.py" --base-url "$url" --cases "$data/cases.jsonl" --push "$data/dataset.json.gz"
