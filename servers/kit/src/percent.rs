//! Percent coding of URLs and forms.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

/// All but what RFC 3986 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A text as one part of a path, a query or a form: `a b/c` is `a%20b%2Fc`.
pub fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, RESERVED).to_string()
}

/// Undoes [`encode`]; what is no escape stays, what is not UTF-8 becomes U+FFFD. A `+` stays as it is.
pub fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// As [`decode`], to bytes.
pub fn decode_bytes(text: &str) -> Vec<u8> {
    percent_encoding::percent_decode_str(text).collect()
}

/// As [`decode`], for forms and query strings, in which `+` is a space.
pub fn decode_form(text: &str) -> String {
    let text: Cow<'_, str> = if text.contains('+') { text.replace('+', " ").into() } else { text.into() };
    decode(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for (text, coded) in
            [("", ""), ("a-b_c.d~e9", "a-b_c.d~e9"), ("a b/c", "a%20b%2Fc"), ("é+&=%", "%C3%A9%2B%26%3D%25")]
        {
            assert_eq!(encode(text), coded);
            assert_eq!(decode(coded), text);
        }
        assert_eq!(decode("a%20b%zz%"), "a b%zz%");
        assert_eq!((decode("a+b"), decode_form("a+b%2B")), ("a+b".to_owned(), "a b+".to_owned()));
        assert_eq!((decode("%ff"), decode_bytes("%ff")), ("\u{fffd}".to_owned(), vec![0xff]));
    }
}
