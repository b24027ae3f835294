//! Random secrets: cookies, tokens of service accounts, first passwords.

use crate::store::{hex, sha256};

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Random bytes from the system.
///
/// # Panics
/// When the system has no randomness to give: nothing safe can be done then.
#[allow(clippy::expect_used)]
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

/// Letters and digits, 5.95 bits each.
pub(crate) fn random_text(len: usize) -> String {
    let mut out = String::with_capacity(len);
    while out.len() < len {
        // 248 is the largest multiple of 62 that fits: no letter is likelier than another.
        let fresh = random_bytes::<32>().into_iter().filter(|byte| *byte < 248);
        out.extend(fresh.map(|byte| ALPHABET[usize::from(byte) % 62] as char).take(len - out.len()));
    }
    out
}

/// A password for the first administrator.
pub(crate) fn random_password() -> String {
    random_text(16)
}

/// A value for a session's cookie.
pub(crate) fn random_cookie() -> String {
    hex(&random_bytes::<32>())
}

/// A token of a service account in Grafana's form: `glsa_<32 letters>_<checksum>`, so that scanners for leaked secrets know it.
pub(crate) fn service_account_token() -> String {
    let secret = random_text(32);
    let sum = crc32fast::hash(secret.as_bytes());
    format!("glsa_{secret}_{sum:08x}")
}

/// Whether a text has the form of a token; most typing errors are found without looking it up.
pub(crate) fn is_well_formed(token: &str) -> bool {
    let Some((secret, sum)) = token.strip_prefix("glsa_").and_then(|rest| rest.rsplit_once('_')) else { return false };
    u32::from_str_radix(sum, 16) == Ok(crc32fast::hash(secret.as_bytes()))
}

/// What is kept of a cookie or token.
pub(crate) fn hash(secret: &str) -> String {
    hex(&sha256(secret.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_their_form() {
        let token = service_account_token();
        assert_eq!(token.len(), 46);
        assert!(is_well_formed(&token));
        assert!(!is_well_formed(&token.replace("glsa_", "glsa_x")));
        assert!(!is_well_formed("glsa_") && !is_well_formed("x"));
        assert_ne!(service_account_token(), token);
        assert_eq!(random_text(100).len(), 100);
    }
}
