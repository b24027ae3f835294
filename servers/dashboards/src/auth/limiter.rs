//! How often somebody may fail to sign in.
//!
//! Failures count by (name, address), by address and by name, in a sliding window. The limits for an address and for a name
//! alone are wider, so that neither a shared address nor an attack from many of them locks a person out at once.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use parking_lot::Mutex;

const WINDOW_MS: i64 = 5 * 60_000;
/// Wider limits, as multiples of the limit for a name at an address.
const PER_ADDRESS: usize = 6;
const PER_NAME: usize = 20;
/// Keys remembered; when more, old ones go.
const MAX_KEYS: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Both(String, IpAddr),
    Address(IpAddr),
    Name(String),
}

#[derive(Debug)]
pub(super) struct LoginLimiter {
    limit: usize,
    failures: Mutex<HashMap<Key, VecDeque<i64>>>,
}

fn keys(login: &str, peer: IpAddr) -> [(Key, usize); 3] {
    let login = login.to_lowercase();
    // An IPv6 customer has a whole /64.
    let peer = match peer {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_none() => {
            let mut octets = v6.octets();
            octets[8..].fill(0);
            IpAddr::from(octets)
        }
        other => other,
    };
    [(Key::Both(login.clone(), peer), 1), (Key::Address(peer), PER_ADDRESS), (Key::Name(login), PER_NAME)]
}

impl LoginLimiter {
    pub(super) fn new(limit: u32) -> Self {
        Self { limit: limit as usize, failures: Mutex::default() }
    }

    pub(super) fn is_blocked(&self, login: &str, peer: IpAddr, now_ms: i64) -> bool {
        let failures = self.failures.lock();
        keys(login, peer).into_iter().any(|(key, factor)| {
            let recent =
                failures.get(&key).map_or(0, |times| times.iter().filter(|t| now_ms - **t < WINDOW_MS).count());
            recent >= self.limit * factor
        })
    }

    pub(super) fn failed(&self, login: &str, peer: IpAddr, now_ms: i64) {
        let mut failures = self.failures.lock();
        if failures.len() >= MAX_KEYS {
            failures.retain(|_, times| times.back().is_some_and(|t| now_ms - t < WINDOW_MS));
            if failures.len() >= MAX_KEYS {
                failures.clear();
            }
        }
        for (key, factor) in keys(login, peer) {
            let times = failures.entry(key).or_default();
            times.push_back(now_ms);
            while times.len() > self.limit * factor {
                times.pop_front();
            }
        }
    }

    /// After a success the name's failures from this address are forgiven.
    pub(super) fn forget(&self, login: &str, peer: IpAddr) {
        let [(both, _), ..] = keys(login, peer);
        self.failures.lock().remove(&both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_after_failures_and_lets_in_again() {
        let limiter = LoginLimiter::new(5);
        let (a, b): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        for i in 0..5 {
            assert!(!limiter.is_blocked("Admin", a, i));
            limiter.failed("admin", a, i);
        }
        assert!(limiter.is_blocked("ADMIN", a, 10));
        assert!(!limiter.is_blocked("admin", b, 10), "another address is not blocked");
        assert!(!limiter.is_blocked("other", a, 10), "another name is not blocked");
        assert!(!limiter.is_blocked("admin", a, WINDOW_MS + 5), "the window slides");
        limiter.forget("admin", a);
        assert!(!limiter.is_blocked("admin", a, 10));
        for i in 0..30 {
            limiter.failed(&format!("user{i}"), a, 10);
        }
        assert!(limiter.is_blocked("anyone", a, 10), "an address that tries many names is");
        for i in 0..100u8 {
            limiter.failed("victim", IpAddr::from([10, 0, 1, i]), 10);
        }
        assert!(limiter.is_blocked("victim", b, 10), "a name that many addresses try is");
        let v6 = |text: &str| text.parse::<IpAddr>().unwrap();
        for _ in 0..5 {
            limiter.failed("x", v6("2001:db8::1"), 0);
        }
        assert!(limiter.is_blocked("x", v6("2001:db8::ffff:2"), 0), "one network is one address");
    }
}
