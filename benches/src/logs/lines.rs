//! The lines of the corpus: one writer for each kind.

use std::fmt::Write;

use fastrand::Rng;

use super::corpus::Truth;

const PATHS: [&str; 24] = [
    "/", "/cart", "/checkout", "/login", "/logout", "/search", "/api/products", "/api/products/{}", "/api/orders",
    "/api/orders/{}", "/api/users/{}/profile", "/api/users/{}/avatar.png", "/static/app.js", "/static/app.css",
    "/static/logo.svg", "/static/fonts/inter.woff2", "/health", "/metrics", "/favicon.ico", "/api/v1/recommendations",
    "/api/v1/recommendations/{}", "/img/{}/large.jpg", "/img/{}/thumb.jpg", "/blog/{}/comments",
];
const METHODS: [&str; 8] = ["GET", "GET", "GET", "GET", "GET", "POST", "PUT", "DELETE"];
const AGENTS: [&str; 9] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.{} Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:{}.0) Gecko/20100101 Firefox/{}.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_{} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.{} Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Mobile Safari/537.36",
    "curl/8.{}.0",
    "Googlebot/2.1 (+http://www.google.com/bot.html)",
    "kube-probe/1.{}",
];
const USERS: [&str; 16] = [
    "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "mallory", "niaj", "olivia", "peggy",
    "rupert", "sybil",
];
const SERVICES: [&str; 12] = [
    "checkout", "cart", "catalog", "payments", "shipping", "inventory", "auth", "search", "reviews", "email", "fraud", "pricing",
];
const MESSAGES: [&str; 20] = [
    "request completed", "order placed", "cache miss", "cache hit", "retrying upstream call", "payment authorized",
    "payment gateway timeout", "stock reserved", "stock conflict detected", "session created", "session expired",
    "token refreshed", "slow query", "connection pool exhausted", "message published", "message consumed",
    "feature flag evaluated", "rate limit applied", "circuit breaker opened", "background job finished",
];
const ERRORS: [&str; 6] = [
    "connection refused", "context deadline exceeded", "unexpected end of file", "no such host", "too many open files",
    "TLS handshake timeout",
];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Time of an entry as lines write it.
struct Clock {
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    nanos: i64,
}

impl Clock {
    /// The corpus lies in January 2026.
    fn of(timestamp_ns: i64) -> Self {
        let seconds = timestamp_ns.div_euclid(1_000_000_000);
        let of_day = seconds.rem_euclid(86_400);
        Self {
            day: seconds.div_euclid(86_400) - 20_454 + 1,
            hour: of_day / 3_600,
            minute: of_day / 60 % 60,
            second: of_day % 60,
            nanos: timestamp_ns.rem_euclid(1_000_000_000),
        }
    }

    fn iso(&self, out: &mut String, digits: u32) {
        let _ = write!(out, "2026-01-{:02}T{:02}:{:02}:{:02}", self.day, self.hour, self.minute, self.second);
        if digits > 0 {
            let _ = write!(out, ".{:0width$}", self.nanos / 10i64.pow(9 - digits), width = digits as usize);
        }
        out.push('Z');
    }
}

/// One of `of`, the first ones far more often than the last.
pub(super) fn skewed<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    let at = rng.f64() * rng.f64() * of.len() as f64;
    of[(at as usize).min(of.len() - 1)]
}

fn hex(rng: &mut Rng, out: &mut String, digits: usize) {
    let mut left = digits;
    while left > 0 {
        let take = left.min(16);
        let _ = write!(out, "{:016x}", rng.u64(..)).map(|()| out.truncate(out.len() - 16 + take));
        left -= take;
    }
}

fn base36(rng: &mut Rng, out: &mut String, len: usize) {
    for _ in 0..len {
        out.push(char::from(b"0123456789abcdefghijklmnopqrstuvwxyz"[rng.usize(..36)]));
    }
}

/// A positive number whose size varies over orders of magnitude.
fn spread(rng: &mut Rng, typical: f64) -> f64 {
    typical * (rng.f64() * 6.0 - 3.0 + rng.f64() * rng.f64() * 3.0).exp()
}

fn status(rng: &mut Rng) -> u32 {
    match rng.u32(..1000) {
        0..=869 => 200,
        870..=899 => 201,
        900..=929 => 304,
        930..=949 => 302,
        950..=979 => 404,
        980..=984 => 401,
        985..=989 => 400,
        990..=994 => 500,
        995..=997 => 502,
        _ => 503,
    }
}

fn fill(rng: &mut Rng, out: &mut String, template: &str, mut write: impl FnMut(&mut Rng, &mut String)) {
    let mut parts = template.split("{}");
    out.push_str(parts.next().unwrap_or(""));
    for part in parts {
        write(rng, out);
        out.push_str(part);
    }
}

/// A line of a web server's access log.
pub(super) fn web(rng: &mut Rng, out: &mut String, timestamp_ns: i64, truth: &mut Truth) {
    let clock = Clock::of(timestamp_ns);
    let client = (rng.f64() * rng.f64() * 20_000.0) as u32;
    let _ = write!(out, "{}.{}.{}.{} - ", 20 + client % 7 * 30, client / 256 % 256, client % 256, client / 83 % 256);
    if rng.u8(..4) == 0 {
        out.push_str(skewed(rng, &USERS));
    } else {
        out.push('-');
    }
    let _ = write!(
        out,
        " [{:02}/{}/2026:{:02}:{:02}:{:02} +0000] \"{} ",
        clock.day, MONTHS[0], clock.hour, clock.minute, clock.second, METHODS[rng.usize(..8)]
    );
    let path = skewed(rng, &PATHS);
    fill(rng, out, path, |rng, out| {
        let _ = write!(out, "{}", (spread(rng, 800.0) as u32).min(99_999));
    });
    if path == "/search" {
        let _ = write!(out, "?q={}+{}&page={}", skewed(rng, &SERVICES), skewed(rng, &USERS), rng.u8(1..9));
    }
    let status = status(rng);
    truth.web_5xx += u64::from(status >= 500);
    let bytes = if status == 304 { 0 } else { spread(rng, 4_000.0) as u64 };
    let _ = write!(out, " HTTP/1.1\" {status} {bytes} \"");
    match rng.u8(..3) {
        0 => out.push('-'),
        1 => out.push_str("https://shop.example.com/"),
        _ => fill(rng, out, "https://shop.example.com/products/{}", |rng, out| {
            let _ = write!(out, "{}", (spread(rng, 800.0) as u32).min(99_999));
        }),
    }
    out.push_str("\" \"");
    let agent = skewed(rng, &AGENTS);
    let version = 100 + rng.u8(..25);
    fill(rng, out, agent, |_, out| {
        let _ = write!(out, "{version}");
    });
    let _ = write!(out, "\" {:.3}", spread(rng, 0.05));
}

/// A line of JSON as services write it.
pub(super) fn json(rng: &mut Rng, out: &mut String, timestamp_ns: i64, service: usize, truth: &mut Truth) {
    let clock = Clock::of(timestamp_ns);
    out.push_str("{\"ts\":\"");
    clock.iso(out, 3);
    let status = status(rng);
    let level = if status >= 500 { "error" } else { ["info", "info", "info", "debug", "warn"][rng.usize(..5)] };
    truth.json_5xx += u64::from(status >= 500);
    truth.json_errors += u64::from(level == "error");
    let service = SERVICES[service % SERVICES.len()];
    let _ = write!(out, "\",\"level\":\"{level}\",\"service\":\"{service}\",\"trace_id\":\"");
    hex(rng, out, 32);
    out.push_str("\",\"span_id\":\"");
    hex(rng, out, 16);
    let _ = write!(
        out,
        "\",\"user\":{{\"id\":{},\"name\":\"{}\"}},\"method\":\"{}\",\"path\":\"",
        (spread(rng, 3_000.0) as u32).min(9_999_999),
        skewed(rng, &USERS),
        METHODS[rng.usize(..8)]
    );
    let path = skewed(rng, &PATHS);
    fill(rng, out, path, |rng, out| {
        let _ = write!(out, "{}", (spread(rng, 800.0) as u32).min(99_999));
    });
    let _ = write!(
        out,
        "\",\"status\":{status},\"duration_ms\":{:.2},\"msg\":\"{}\"",
        spread(rng, 20.0),
        skewed(rng, &MESSAGES)
    );
    if level == "error" {
        let _ = write!(out, ",\"error\":\"{}\",\"retries\":{}", skewed(rng, &ERRORS), rng.u8(..4));
    }
    out.push('}');
}

/// A logfmt line as Go services write it.
pub(super) fn logfmt(rng: &mut Rng, out: &mut String, timestamp_ns: i64, service: usize, truth: &mut Truth) {
    let clock = Clock::of(timestamp_ns);
    out.push_str("ts=");
    clock.iso(out, 6);
    let message = rng.usize(..MESSAGES.len());
    let level = if message == 6 || message == 13 { "error" } else { ["info", "info", "debug", "warn"][rng.usize(..4)] };
    truth.logfmt_errors += u64::from(level == "error");
    let _ = write!(
        out,
        " level={level} caller={}.go:{} component={} msg=\"{}\" method={} route=",
        SERVICES[message % SERVICES.len()],
        17 * message + 31,
        SERVICES[service % SERVICES.len()],
        MESSAGES[message],
        METHODS[rng.usize(..8)]
    );
    let path = skewed(rng, &PATHS);
    fill(rng, out, path, |rng, out| {
        let _ = write!(out, "{}", (spread(rng, 800.0) as u32).min(99_999));
    });
    let millis = spread(rng, 15.0);
    let _ = write!(out, " status={} bytes={} duration=", status(rng), spread(rng, 3_000.0) as u32);
    if millis >= 1_000.0 {
        let _ = write!(out, "{:.3}s", millis / 1_000.0);
    } else {
        let _ = write!(out, "{millis:.3}ms");
    }
    out.push_str(" request_id=");
    base36(rng, out, 12);
    let _ = write!(out, " user={} tenant=team-{}", skewed(rng, &USERS), rng.u8(..40));
    if level == "error" {
        let _ = write!(out, " err=\"{}\"", skewed(rng, &ERRORS));
    }
}

/// A line of syslog: sshd, kernel, systemd, cron, dhclient.
pub(super) fn system(rng: &mut Rng, out: &mut String, timestamp_ns: i64, host: &str, _truth: &mut Truth) {
    let clock = Clock::of(timestamp_ns);
    let _ = write!(out, "{} {:2} {:02}:{:02}:{:02} {host} ", MONTHS[0], clock.day, clock.hour, clock.minute, clock.second);
    let address = |rng: &mut Rng| format!("10.{}.{}.{}", rng.u8(..4), rng.u8(..), rng.u8(1..255));
    let pid = 1_000 + rng.u32(..30_000);
    let _ = match rng.u8(..12) {
        0 | 1 => {
            let _ = write!(
                out,
                "sshd[{pid}]: Accepted publickey for {} from {} port {} ssh2: RSA SHA256:",
                skewed(rng, &USERS),
                address(rng),
                rng.u16(32_768..)
            );
            base36(rng, out, 43);
            Ok(())
        }
        2 => write!(out, "sshd[{pid}]: Failed password for invalid user {} from {} port {} ssh2", skewed(rng, &USERS), address(rng), rng.u16(32_768..)),
        3 => write!(out, "sshd[{pid}]: pam_unix(sshd:session): session opened for user {}(uid={}) by (uid=0)", skewed(rng, &USERS), 1_000 + rng.u8(..40) as u32),
        4 => write!(out, "sshd[{pid}]: Disconnected from user {} {} port {}", skewed(rng, &USERS), address(rng), rng.u16(32_768..)),
        5 | 6 => write!(
            out,
            "kernel: [{:5}.{:06}] IPTABLES DROP: IN=eth0 OUT= MAC=52:54:00:{:02x}:{:02x}:{:02x} SRC={} DST={} LEN={} TTL={} ID={} PROTO=TCP SPT={} DPT={} WINDOW={} SYN",
            timestamp_ns / 1_000_000_000 % 100_000,
            clock.nanos / 1_000,
            rng.u8(..),
            rng.u8(..4),
            rng.u8(..),
            address(rng),
            address(rng),
            40 + rng.u8(..3) as u32 * 4,
            48 + rng.u8(..16),
            rng.u16(..),
            rng.u16(1_024..),
            skewed(rng, &[22, 443, 80, 3389, 8080, 5432]),
            skewed(rng, &[64_240, 65_535, 29_200, 1_024])
        ),
        7 => write!(out, "systemd[1]: Started Session {} of user {}.", rng.u16(..), skewed(rng, &USERS)),
        8 => write!(out, "systemd[1]: {}.service: Deactivated successfully.", skewed(rng, &SERVICES)),
        9 => write!(out, "systemd[1]: {}.service: Consumed {:.3}s CPU time.", skewed(rng, &SERVICES), spread(rng, 2.0)),
        10 => write!(out, "CRON[{pid}]: ({}) CMD (/usr/local/bin/{} --quiet --since {}m)", skewed(rng, &USERS), skewed(rng, &SERVICES), 5 * rng.u8(1..12) as u32),
        _ => write!(out, "dhclient[{pid}]: DHCPACK of {} from 10.0.0.1 (xid=0x{:08x})", address(rng), rng.u32(..)),
    };
}
