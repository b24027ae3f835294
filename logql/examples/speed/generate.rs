//! Log lines as servers write them, the same ones for the same seed.

use std::fmt::Write;

/// Numbers that look random.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 16) % bound
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        // The first ones more often than the last.
        let at = self.below(choices.len() as u64).min(self.below(choices.len() as u64));
        choices[at as usize]
    }
}

const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];
const PATHS: [&str; 12] = [
    "/",
    "/api/v1/users",
    "/api/v1/orders",
    "/healthz",
    "/static/app.js",
    "/api/v1/carts",
    "/login",
    "/metrics",
    "/api/v1/products",
    "/search",
    "/api/v1/payments/refunds",
    "/favicon.ico",
];
const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "curl/8.5.0",
    "kube-probe/1.30",
];
const STATUS: [&str; 8] = ["200", "200", "204", "301", "404", "400", "500", "503"];
const LEVELS: [&str; 4] = ["info", "debug", "warn", "error"];
const MESSAGES: [&str; 8] = [
    "request served",
    "cache miss",
    "connection opened",
    "retrying after failure",
    "user logged in",
    "upstream timed out",
    "payment authorised for order",
    "could not parse \\\"accept\\\" header",
];
const PROGRAMS: [&str; 5] = ["sshd", "systemd", "kernel", "CRON", "dhclient"];

/// A line of an access log.
pub(crate) fn web(line: &mut String, random: &mut Random) {
    let r = random.next();
    let (method, path, status) = (random.of(&METHODS), random.of(&PATHS), random.of(&STATUS));
    let _ = write!(
        line,
        "10.{}.{}.{} - - [05/Jan/2026:10:{:02}:{:02} +0000] \"{method} {path}?id={} HTTP/1.1\" {status} {} \"-\" \"{}\"",
        r & 63,
        r >> 8 & 255,
        r >> 16 & 255,
        r >> 24 & 59,
        r >> 32 & 59,
        r >> 40 & 0xffff,
        r >> 20 & 0x7fff,
        random.of(&AGENTS)
    );
}

/// A JSON object with one inside.
pub(crate) fn json(line: &mut String, random: &mut Random) {
    let r = random.next();
    let (level, message, status) = (random.of(&LEVELS), random.of(&MESSAGES), random.of(&STATUS));
    let (method, path) = (random.of(&METHODS), random.of(&PATHS));
    let _ = write!(
        line,
        "{{\"ts\":\"2026-01-05T10:{:02}:{:02}.{:03}Z\",\"level\":\"{level}\",\"msg\":\"{message}\",\"trace_id\":\"{:016x}\",\"request\":{{\"method\":\"{method}\",\"path\":\"{path}\",\"bytes\":{}}},\"status\":{status},\"duration_ms\":{}.{:02},\"user\":\"u{}\",\"ok\":true}}",
        r & 59,
        r >> 8 & 59,
        r >> 16 & 511,
        random.next(),
        r >> 26 & 0xffff,
        r >> 42 & 1023,
        r >> 52 & 63,
        r >> 33 & 0xfff
    );
}

/// A line of `key=value`.
pub(crate) fn logfmt(line: &mut String, random: &mut Random) {
    let r = random.next();
    let (level, message, status) = (random.of(&LEVELS), random.of(&MESSAGES), random.of(&STATUS));
    let (method, path) = (random.of(&METHODS), random.of(&PATHS));
    let _ = write!(
        line,
        "ts=2026-01-05T10:{:02}:{:02}.{:03}Z level={level} component=api msg=\"{message}\" method={method} path={path} status={status} duration={}.{}ms size={}kB trace_id={:016x}",
        r & 59,
        r >> 8 & 59,
        r >> 16 & 511,
        r >> 26 & 1023,
        r >> 36 & 7,
        r >> 40 & 255,
        random.next()
    );
}

/// A line of a system's log.
pub(crate) fn syslog(line: &mut String, random: &mut Random) {
    let r = random.next();
    let (program, message) = (random.of(&PROGRAMS), random.of(&MESSAGES));
    let _ = write!(
        line,
        "Jan  5 10:{:02}:{:02} host-{} {program}[{}]: {message} from 192.168.{}.{} port {}",
        r & 59,
        r >> 8 & 59,
        r >> 16 & 15,
        r >> 20 & 0x7fff,
        r >> 35 & 255,
        r >> 43 & 255,
        r >> 50 & 0x3fff
    );
}
