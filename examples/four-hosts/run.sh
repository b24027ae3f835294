#!/usr/bin/env bash
# Runs the four hosts on one machine, each with its own address, configuration and data, as on four machines.
#
#   ./run.sh [DIRECTORY]     data and logs go to DIRECTORY (default: a temporary one)
#
# As root each host is a network namespace of its own (10.42.0.11 to .14, joined by a bridge); otherwise, or with
# MODE=loopback, each has a loopback address of its own (127.0.0.11 to .14). Ctrl-C stops everything.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=${BIN:-$root/target/release}
data=${1:-$(mktemp -d "${TMPDIR:-/tmp}/foursight.XXXXXX")}
hosts=(web metrics logs dashboards)
mode=${MODE:-$([ "$(id -u)" = 0 ] && command -v ip >/dev/null && echo netns || echo loopback)}
case $mode in
netns) prefix=10.42.0.1 ;;
loopback) prefix=127.0.0.1 ;;
*) echo "MODE is netns or loopback" >&2; exit 2 ;;
esac
for name in web metrics logs dashboards; do
    [ -x "$bin/foursight-$name" ] || { echo "$bin/foursight-$name is missing: cargo build --release --workspace" >&2; exit 1; }
done

address() { # the address of a host, by its place in the list
    local at
    for at in "${!hosts[@]}"; do if [ "${hosts[$at]}" = "$1" ]; then echo "$prefix$((at + 1))"; fi; done
}

cleanup() {
    trap - EXIT INT TERM
    kill "${pids[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    if [ "$mode" = netns ]; then
        for host in "${hosts[@]}"; do ip netns del "fs-$host" 2>/dev/null || true; rm -rf "/etc/netns/fs-$host"; done
        ip link del fs-bridge 2>/dev/null || true
    fi
    echo "stopped; data is in $data"
}
pids=()
trap cleanup EXIT INT TERM

if [ "$mode" = netns ]; then
    ip link add fs-bridge type bridge
    ip addr add 10.42.0.1/24 dev fs-bridge
    ip link set fs-bridge up
    for host in "${hosts[@]}"; do
        ip netns add "fs-$host"
        ip link add "fs-${host:0:8}" type veth peer name eth0 netns "fs-$host"
        ip link set "fs-${host:0:8}" master fs-bridge up
        ip -n "fs-$host" addr add "$(address "$host")/24" dev eth0
        ip -n "fs-$host" link set eth0 up
        ip -n "fs-$host" link set lo up
        # Names of the hosts, as DNS would give them.
        mkdir -p "/etc/netns/fs-$host"
        { echo "127.0.0.1 localhost"; for other in "${hosts[@]}"; do echo "$(address "$other") $other"; done; } >"/etc/netns/fs-$host/hosts"
    done
fi

# Each host gets its own copy of its files. Names become addresses where there is no name service (loopback), and the
# directories of an installation become those of this run.
for host in "${hosts[@]}"; do
    mkdir -p "$data/$host/state" "$data/$host/log"
    cp -r "$here/$host/." "$data/$host/etc"
    find "$data/$host/etc" -type f | while read -r file; do
        sed -i "s#/var/lib/foursight/$host#$data/$host/state#g; s#/etc/foursight/$host#$data/$host/etc#g; s#/var/log/titan#$data/web/log/titan#g; s#0\.0\.0\.0#$(address "$host")#g" "$file"
        if [ "$mode" = loopback ]; then
            for other in "${hosts[@]}"; do sed -i -E "s#(//|\[\")$other:#\1$(address "$other"):#g" "$file"; done
        fi
    done
done
cp -r "$root/servers/dashboards/provisioning/dashboards" "$data/dashboards/etc/dashboards"
# Without a webhook the messages go to a port where nobody listens, and the log of the dashboards host says so.
export SLACK_WEBHOOK_URL=${SLACK_WEBHOOK_URL:-http://127.0.0.1:9/}

start() { # host, name of the log, command…
    local host=$1 log=$2
    shift 2
    if [ "$mode" = netns ]; then
        ip netns exec "fs-$host" "$@" >"$data/$host/log/$log.log" 2>&1 &
    else
        "$@" >"$data/$host/log/$log.log" 2>&1 &
    fi
    pids+=($!)
}

web=$(address web)
start metrics metrics "$bin/foursight-metrics" --config.file="$data/metrics/etc/prometheus.yml" --storage.tsdb.path="$data/metrics/state" \
    --web.listen-address="$(address metrics):9090" --web.enable-remote-write-receiver --web.enable-lifecycle
start logs logs "$bin/foursight-logs" -config.file="$data/logs/etc/loki.yaml"
start dashboards dashboards "$bin/foursight-dashboards" --config "$data/dashboards/etc/grafana.ini"
start web titan "$bin/foursight-web" titan --listen-address="$web:5000" --log-dir="$data/web/log/titan"
start web node "$bin/foursight-web" node --web.listen-address="$web:9100"
start web agent "$bin/foursight-web" agent run --server.http.listen-addr="$web:12345" --storage.path="$data/web/state" "$data/web/etc/config.alloy"
start web traffic "$bin/foursight-web" traffic --target="http://$web:5000"

echo "web         http://$web:5000 (node exporter :9100, agent :12345)"
echo "metrics     http://$(address metrics):9090"
echo "logs        http://$(address logs):3100"
echo "dashboards  http://$(address dashboards):3000"
echo "data and logs: $data"
echo "Ctrl-C stops everything"
wait -n "${pids[@]}" || true
echo "a server has ended; the ends of the logs:" >&2
tail -n 5 "$data"/*/log/*.log >&2
exit 1
