#!/usr/bin/env bash
# The browser app against the real stack: `foursight up` on free ports with traffic, Chromium in front of it.
set -euo pipefail
cd "$(dirname "$0")/../.."
dir=$(mktemp -d)
trap 'kill "$stack" 2>/dev/null || true; wait "$stack" 2>/dev/null || true; rm -rf "$dir"' EXIT
ports=$(python3 -c 'import socket
sockets = [socket.socket() for _ in range(7)]
for s in sockets: s.bind(("127.0.0.1", 0))
print(*[s.getsockname()[1] for s in sockets])')
read -r titan node agent metrics logs dashboards slack <<<"$ports"
GF_SECURITY_ADMIN_PASSWORD=browser-test target/release/foursight up --data "$dir/data" --titan-port "$titan" --node-port "$node" \
    --agent-port "$agent" --metrics-port "$metrics" --logs-port "$logs" --dashboards-port "$dashboards" --slack-port "$slack" \
    --quiet-traffic >"$dir/log" 2>&1 &
stack=$!
for _ in $(seq 300); do
    curl -fs "http://127.0.0.1:$dashboards/api/health" >/dev/null && break
    sleep 0.2
done
# A minute of requests, some of which fail; then it is quiet, so that what is counted twice is the same.
target/release/foursight traffic --profile error-burst --rate 30 --duration "${WARM:-60}s" --target "http://127.0.0.1:$titan" --quiet
sleep 6
[ -d servers/dashboards/web/node_modules ] || (cd servers/dashboards/web && npm ci --no-audit --no-fund)
cd servers/dashboards/web
FOURSIGHT_URL="http://127.0.0.1:$dashboards" FOURSIGHT_USER=admin FOURSIGHT_PASSWORD=browser-test npm run --silent test:browser || { tail -n 30 "$dir/log"; exit 1; }
