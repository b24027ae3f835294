//! IP addresses, networks and ranges, and finding them in a text.

use std::net::IpAddr;

/// What `ip("…")` compares with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IpPattern {
    /// One address.
    Address(IpAddr),
    /// `10.0.0.0/8`
    Network {
        /// Any address of the network.
        address: IpAddr,
        /// Leading bits that count.
        bits: u8,
    },
    /// `10.0.0.1-10.0.0.9`, both ends included, of one family.
    Range(IpAddr, IpAddr),
}

impl IpPattern {
    /// Reads one of the three forms; `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse() {
            return Some(Self::Address(address));
        }
        if let Some((address, bits)) = text.split_once('/') {
            let address: IpAddr = address.parse().ok()?;
            let plain = bits == "0" || !bits.starts_with(['0', '+']);
            let bits: u8 = bits.parse().ok().filter(|_| plain)?;
            return (bits <= if address.is_ipv4() { 32 } else { 128 }).then_some(Self::Network { address, bits });
        }
        let (first, last) = text.split_once('-')?;
        let (first, last): (IpAddr, IpAddr) = (first.parse().ok()?, last.parse().ok()?);
        (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(Self::Range(first, last))
    }

    /// Whether an address is meant. An IPv4 address never equals its IPv6 form.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match *self {
            Self::Address(wanted) => wanted == address,
            Self::Network { address: network, bits } => match (network, address) {
                (IpAddr::V4(a), IpAddr::V4(b)) => {
                    let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
                    a.to_bits() & mask == b.to_bits() & mask
                }
                (IpAddr::V6(a), IpAddr::V6(b)) => {
                    let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
                    a.to_bits() & mask == b.to_bits() & mask
                }
                _ => false,
            },
            Self::Range(first, last) => first.is_ipv4() == address.is_ipv4() && first <= address && address <= last,
        }
    }

    /// Whether some address in `text` is meant.
    ///
    /// An address starts where a digit is followed by a point within three bytes (IPv4), or hex digits by a colon within
    /// four (IPv6), and goes on as long as its alphabet does. What does not parse as a whole is skipped, which also skips
    /// addresses inside it: `1.2.3.4.` at the end of a sentence is none.
    pub(crate) fn found_in(&self, text: &str) -> bool {
        let bytes = text.as_bytes();
        let at = |i: usize| bytes.get(i).copied().unwrap_or(0);
        let mut i = 0;
        let mut separator = 0;
        while i < bytes.len() {
            // No address starts further from the next point or colon than this.
            if separator < i {
                let Some(len) = memchr::memchr2(b'.', b':', &bytes[i..]) else { return false };
                separator = i + len;
                i = i.max(separator.saturating_sub(4));
            }
            let rest = &bytes[i..];
            let is_address: fn(&u8) -> bool = if rest.len() > 3
                && rest[0].is_ascii_digit()
                && (rest[1] == b'.' || rest[2] == b'.' || rest[3] == b'.')
            {
                |b| b.is_ascii_digit() || *b == b'.'
            } else if starts_like_ipv6([at(i), at(i + 1), at(i + 2), at(i + 3), at(i + 4)]) {
                |b| b.is_ascii_hexdigit() || *b == b':' || *b == b'.'
            } else {
                i += 1;
                continue;
            };
            let len = rest.iter().take_while(|b| is_address(b)).count();
            let address = rest.get(..len).filter(|found| self.is_v4() != found.contains(&b':'));
            let address = address.and_then(|found| std::str::from_utf8(found).ok()?.parse().ok());
            if address.is_some_and(|address| self.contains(address)) {
                return true;
            }
            i += len + 1;
        }
        false
    }

    /// Whether IPv4 addresses are meant.
    fn is_v4(&self) -> bool {
        match self {
            Self::Address(address) | Self::Network { address, .. } | Self::Range(address, _) => address.is_ipv4(),
        }
    }
}

fn starts_like_ipv6(b: [u8; 5]) -> bool {
    let hex = b.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    if hex == 0 {
        return b[0] == b':' && b[1] == b':' && b[2].is_ascii_hexdigit();
    }
    hex < 5 && b[hex] == b':'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_three_forms() {
        for text in ["10.0.0.1", "::1", "10.0.0.0/8", "2001:db8::/32", "10.0.0.1-10.0.0.9", "0.0.0.0/0"] {
            assert!(IpPattern::parse(text).is_some(), "{text}");
        }
        for text in
            ["", "x", "10.0.0", "10.0.0.0/33", "10.0.0.9-10.0.0.1", "10.0.0.1-::1", "10.0.0.0/08", "10.0.0.0/+8"]
        {
            assert!(IpPattern::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn finds_addresses_in_text() {
        let cases = [
            ("10.0.0.0/8", "from 10.1.2.3 port 22", true),
            ("10.0.0.0/8", "from 11.1.2.3 port 22", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.3.", false),
            ("10.1.2.3", "10.1.2.3:80", true),
            ("10.1.2.3-10.1.2.9", "x10.1.2.5y", true),
            ("::1", "addr=[::1]:22", true),
            ("2001:db8::/32", "client 2001:db8::7 said", true),
            ("0.0.0.0/0", "é1.2.3.4", true),
            ("10.0.0.1", "", false),
            ("0.0.0.0/0", "::1", false),
        ];
        for (pattern, text, want) in cases {
            assert_eq!(IpPattern::parse(pattern).unwrap().found_in(text), want, "{pattern} in {text}");
        }
    }
}
