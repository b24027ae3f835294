"""Requests that nobody wants, for every path of every host."""

import concurrent.futures
import http.client
import random
import socket
import urllib.parse

from remote_write import numbered, snappy, varint
from peers import check, get

METRICS_PATHS = """
GET,POST /api/v1/query
GET,POST /api/v1/query_range
GET,POST /api/v1/format_query
GET,POST /api/v1/parse_query
GET,POST /api/v1/explain
GET /api/v1/queries/active
POST /api/v1/queries/kill
GET,POST /api/v1/labels
GET /api/v1/label/job/values
GET /api/v1/label/%FF/values
GET,POST /api/v1/series
GET /api/v1/targets
GET /api/v1/targets/metadata
GET /api/v1/targets/relabel_steps
GET /api/v1/scrape_pools
GET /api/v1/scrape_pools/config
GET /api/v1/metadata
GET /api/v1/rules
GET /api/v1/alerts
GET /api/v1/alertmanagers
GET /api/v1/status/config
GET /api/v1/status/flags
GET /api/v1/status/buildinfo
GET /api/v1/status/runtimeinfo
GET /api/v1/status/tsdb
GET /api/v1/status/tsdb/blocks
GET /api/v1/status/walreplay
GET /api/v1/status/self_metrics
GET /api/v1/features
GET /api/v1/notifications
GET,POST /api/v1/query_exemplars
POST! /api/v1/read
POST /api/v1/admin/tsdb/delete_series
POST! /api/v1/otlp/v1/metrics
POST! /api/v1/write
GET /metrics
GET /federate
GET /version
GET /-/healthy
GET /-/ready
GET /query
GET /targets
GET /status
GET /no/such/page
"""

LOGS_PATHS = """
POST! /loki/api/v1/push
POST! /api/prom/push
POST! /otlp/v1/logs
GET,POST /loki/api/v1/query
GET,POST /loki/api/v1/query_range
GET,POST /loki/api/v1/labels
GET,POST /loki/api/v1/label/job/values
GET,POST /loki/api/v1/series
GET,POST /loki/api/v1/index/stats
GET,POST /loki/api/v1/index/volume
GET,POST /loki/api/v1/index/volume_range
GET,POST /loki/api/v1/index/shards
GET,POST /loki/api/v1/patterns
GET,POST /loki/api/v1/detected_labels
GET,POST /loki/api/v1/detected_fields
GET,POST /loki/api/v1/detected_field/a/values
GET,POST /loki/api/v1/format_query
GET,POST /loki/api/v1/explain
GET,POST /loki/api/v1/export
GET,POST,DELETE /loki/api/v1/delete
GET /loki/api/v1/tail
GET /loki/api/v1/status/buildinfo
GET,POST /api/prom/query
GET /api/prom/label
GET /prometheus/api/v1/rules
GET /prometheus/api/v1/alerts
POST! /loki/api/v1/rules/space
GET,DELETE /loki/api/v1/rules/space/group
GET /ready
GET /metrics
GET /config
GET /services
GET,POST /log_level
GET /runtime_config
GET /no/such/page
"""

DASHBOARDS_PATHS = """
GET /api/health
GET /api/frontend/settings
POST! /login
GET,PUT /api/user
PUT! /api/user/password
GET,PUT /api/user/preferences
GET /api/search
GET /api/annotations
POST! /api/annotations
POST! /api/dashboards/db
POST! /api/dashboards/import
POST! /api/dashboards/calculate-diff
GET /api/dashboards/uid/%FF
GET,DELETE /api/dashboards/uid/none
GET /api/dashboards/uid/none/versions/x
POST! /api/dashboards/uid/none/restore
GET /api/datasources
POST! /api/datasources
GET,DELETE /api/datasources/uid/none
GET /api/datasources/x
GET,POST /api/datasources/proxy/uid/none/api/v1/query
POST! /api/ds/query
GET /api/folders
POST! /api/folders
PUT! /api/folders/none
POST! /api/folders/none/move
POST! /api/short-urls
POST! /api/playlists
POST! /api/library-elements
POST! /api/serviceaccounts
POST! /api/admin/users
PUT! /api/admin/users/x/password
GET /api/users/lookup
PATCH! /api/org/users/x
GET /api/v1/provisioning/alert-rules
POST! /api/v1/provisioning/alert-rules
POST! /api/v1/provisioning/contact-points
PUT! /api/v1/provisioning/policies
POST! /api/v1/provisioning/mute-timings
POST! /api/v1/provisioning/templates
GET /api/prometheus/grafana/api/v1/rules
GET /api/alertmanager/grafana/api/v2/alerts
POST! /api/alertmanager/grafana/api/v2/silences
GET /api/ruler/grafana/api/v1/rules
POST! /api/ruler/grafana/api/v1/rules/x
GET /metrics
GET /d/none
GET /no/such/page
"""

AGENT_PATHS = """
GET /
GET /component/none
GET /metrics
GET /-/ready
GET /-/healthy
GET /api/v0/web/components
GET /api/v0/component/none/metrics
GET /no/such/page
"""

TITAN_PATHS = """
GET /
GET /metrics
GET /api/products
GET /api/products/%FF
GET /api/search
POST! /api/login
POST! /api/cart
DELETE /api/cart/x
POST! /api/orders
GET /api/orders/x
POST! /api/checkout
POST! /admin/fault
GET /no/such/page
"""

NODE_PATHS = """
GET /
GET /metrics
GET /no/such/page
"""

PARAMETERS = ["query", "match[]", "time", "start", "end", "step", "limit", "collect[]", "direction", "interval", "id", "timeout", "target_limit", "since"]


def bodies():
    """Content type, encoding, body: none of them is what anybody wants."""
    deep = b"[" * 200_000
    yield "application/json", None, deep
    yield "application/json", None, b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    yield "application/json", None, b'{"streams": 5, "resourceMetrics": 5, "resourceLogs": 5, "dashboard": [], "title": {}, "uid": 7, "name": [], "queries": {}}'
    yield "application/json", None, b'"\xff\xfe"'
    yield "application/json", None, b""
    yield "application/json", "gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03rubbish"
    yield "application/json", "br", b"rubbish"
    yield "application/x-www-form-urlencoded", None, b"query=%FF%FE&match[]=%00&time=\xff&start=1e400&end=-&step=0&limit=-1"
    yield "application/x-www-form-urlencoded", None, b"query=" + b"(" * 100_000 + b"&start=1&end=2&step=1"
    yield "application/x-protobuf", "snappy", random.randbytes(2000)
    yield "application/x-protobuf", "snappy", numbered("a", 5, 1, 1.0)[:-20]
    yield "application/x-protobuf", "snappy", varint(1 << 31) + b"\x00a"
    yield "application/x-protobuf", "snappy", snappy(random.randbytes(500))
    yield "application/x-protobuf", None, random.randbytes(500)
    yield "application/x-protobuf;proto=io.prometheus.write.v2.Request", "snappy", snappy(b"\x0a\xff\xff\xff\xff\x0f")
    yield "text/plain", None, random.randbytes(300)
    yield "application/yaml", None, b"a: &a [*a]\nname: [\n"
    yield "multipart/form-data; boundary=x", None, b"--x\r\n\r\nrubbish"
    yield "nonsense", None, b"x"


def values():
    yield from ["(", "{", "\xff", "\0", "9" * 400, "-1", "NaN", "1e400", "a" * 5000, "((" * 2000, "'", "{a=~\"((\"}", "rate(x[99999999y])", "{a=\"b\"} | json | line_format \"{{\"", "💥"]


def raw(port, data, seconds=10):
    """The first line of the answer to bytes that may be no request at all; empty when the connection was closed without one."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as sock:
        try:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        answer = b""
        try:
            while b"\r\n" not in answer:
                part = sock.recv(4096)
                if not part:
                    break
                answer += part
        except OSError:
            pass
    return answer.split(b"\r\n")[0]


def send_all(host, port, paths, headers=None, health="/metrics"):
    """Sends every kind of rubbish everywhere. A path marked `!` takes bodies, and refuses these."""
    asked, wrong = 0, []

    def ask(method, path, params=None, content=None, must_refuse=False):
        nonlocal asked
        asked += 1
        url = f"http://127.0.0.1:{port}{path}" + (f"?{urllib.parse.urlencode(params, errors='surrogateescape')}" if params else "")
        more, body = dict(headers or {}), None
        if content:
            kind, encoding, body = content
            more["Content-Type"] = kind
            if encoding:
                more["Content-Encoding"] = encoding
        try:
            status, answer = get(url, body, more, method, timeout=30)
        except (ValueError, http.client.HTTPException) as error:
            status, answer = 0, repr(error).encode()
        if status == 0 and content and len(content[2]) > 60_000 and (b"Broken pipe" in answer or b"reset" in answer):
            # Refused before the whole body was sent: the answer went by.
            return
        low = 400 if must_refuse else 200
        if not low <= status < 500:
            wrong.append((method, path, params, content and (content[0], content[1], content[2][:40]), status, answer[:150]))
        elif status >= 400 and not answer.strip() and method != "HEAD":
            wrong.append((method, path, params, content and content[:2], status, "no word about the reason"))

    jobs = []
    for line in paths.split("\n"):
        if not line.strip():
            continue
        methods, path = line.split()
        for method in methods.split(","):
            takes_body = method.endswith("!")
            method = method.rstrip("!")
            for value in values():
                some = random.sample(PARAMETERS, 3) + ["query"]
                jobs.append((method, path, {name: value for name in some}, None, False))
            if method != "GET":
                for content in bodies():
                    # An empty body is an empty message of protobuf or JSON to some.
                    jobs.append((method, path, None, content, takes_body and content[2] != b""))
        jobs.append(("BREW", path, None, None, True))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda job: ask(*job), jobs))
    check(not wrong, f"{host}: {asked} pieces of rubbish are refused or ignored, {len(wrong)} are not")
    for row in wrong[:12]:
        print("      ", row)
    for what, data in [
        ("a giant header", b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 2_000_000 + b"\r\n\r\n"),
        ("many headers", b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * 20_000 + b"\r\n"),
        ("a giant path", b"GET /" + b"a" * 2_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("no HTTP", random.randbytes(5000)),
        ("a bad length", b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n"),
        ("two lengths", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef"),
        ("a bad chunk", b"POST /api/v1/query HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n"),
        ("a TLS greeting", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + random.randbytes(500)),
    ]:
        line = raw(port, data)
        check(line == b"" or line.startswith(b"HTTP/1.1 4"), f"{host}: {what} is refused: {line!r}")
    check(get(f"http://127.0.0.1:{port}{health}", headers=headers)[0] == 200, f"{host} answers afterwards")
