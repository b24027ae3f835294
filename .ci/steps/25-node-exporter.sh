#!/usr/bin/env bash
# Names, types and labels of the node exporter beside Debian's, both read from this machine.
set -euo pipefail
cd "$(dirname "$0")/../.."
FOURSIGHT_NODE_EXPORTER=${FOURSIGHT_NODE_EXPORTER:-/usr/bin/prometheus-node-exporter} \
    cargo test --locked -p foursight-web --test node_exporter_differences -- --nocapture
