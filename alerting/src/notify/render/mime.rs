//! Mails as they go over the wire: encoded headers, and parts in quoted-printable (RFC 2045, RFC 2047).

use crate::notify::request::Mail;
use crate::text::sha256_hex;

/// Longest line of an encoded part.
const MAX_LINE: usize = 76;
/// Bytes of text in one encoded word, so that the word stays below 75 characters.
const WORD_BYTES: usize = 20;

/// A header's value, encoded if it is more than printable ASCII. Line breaks become spaces: no value can add a header.
pub(super) fn header(value: &str) -> String {
    let value: String = value.chars().map(|c| if matches!(c, '\r' | '\n') { ' ' } else { c }).collect();
    if value.bytes().all(|b| (b' '..=b'~').contains(&b) || b == b'\t') {
        return value;
    }
    let mut words = vec![String::new()];
    let mut bytes = 0;
    for c in value.chars() {
        if bytes + c.len_utf8() > WORD_BYTES {
            words.push(String::new());
            bytes = 0;
        }
        bytes += c.len_utf8();
        if let Some(word) = words.last_mut() {
            encode_word(c, word);
        }
    }
    let words: Vec<String> = words.into_iter().map(|word| format!("=?utf-8?q?{word}?=")).collect();
    words.join("\r\n ")
}

fn encode_word(c: char, word: &mut String) {
    match c {
        ' ' => word.push('_'),
        '!'..='~' if !matches!(c, '=' | '?' | '_') => word.push(c),
        _ => {
            let mut buffer = [0; 4];
            for byte in c.encode_utf8(&mut buffer).bytes() {
                word.push_str(&format!("={byte:02X}"));
            }
        }
    }
}

/// Text in quoted-printable, lines ended by CRLF.
fn quoted_printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for (i, line) in text.split('\n').enumerate() {
        if i > 0 {
            out.push_str("\r\n");
        }
        let line = line.strip_suffix('\r').unwrap_or(line).as_bytes();
        let mut column = 0;
        for (at, byte) in line.iter().enumerate() {
            let last = at + 1 == line.len();
            let plain = match byte {
                b'=' => false,
                b' ' | b'\t' => !last,
                b'!'..=b'~' => true,
                _ => false,
            };
            let width = if plain { 1 } else { 3 };
            if column + width > MAX_LINE - 1 {
                out.push_str("=\r\n");
                column = 0;
            }
            if plain {
                out.push(char::from(*byte));
            } else {
                out.push_str(&format!("={byte:02X}"));
            }
            column += width;
        }
    }
    out
}

impl Mail {
    /// The mail as `DATA` of SMTP takes it, without the escaping of dots.
    pub fn to_message(&self) -> Vec<u8> {
        let mut out = String::new();
        for (name, value) in &self.headers {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
        let parts = [("plain", &self.text), ("html", &self.html)];
        let content: Vec<&str> = parts.iter().filter_map(|(_, part)| part.as_deref()).collect();
        // A hash of what is between the boundaries cannot be part of it.
        let boundary = format!("part-{}", sha256_hex(&content.concat()));
        out.push_str(&format!("Content-Type: multipart/alternative; boundary={boundary}\r\nMIME-Version: 1.0\r\n\r\n"));
        for (kind, part) in parts {
            let Some(part) = part else { continue };
            out.push_str(&format!(
                "--{boundary}\r\nContent-Type: text/{kind}; charset=UTF-8\r\n\
                 Content-Transfer-Encoding: quoted-printable\r\n\r\n"
            ));
            out.push_str(&quoted_printable(part));
            out.push_str("\r\n");
        }
        out.push_str(&format!("--{boundary}--\r\n"));
        out.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_ascii_on_one_line() {
        assert_eq!(header("[FIRING:1] Down"), "[FIRING:1] Down");
        assert_eq!(header("a\r\nBcc: x@y"), "a  Bcc: x@y");
        assert_eq!(header("Tür auf?"), "=?utf-8?q?T=C3=BCr_auf=3F?=");
        let long = header(&"ä".repeat(30));
        assert!(long.split("\r\n ").all(|word| word.len() <= 75 && word.ends_with("?=")), "{long}");
    }

    #[test]
    fn text_in_quoted_printable() {
        assert_eq!(quoted_printable("a=b \nü"), "a=3Db=20\r\n=C3=BC");
        let long = quoted_printable(&"x".repeat(200));
        assert!(long.split("\r\n").all(|line| line.len() <= MAX_LINE));
        assert_eq!(long.replace("=\r\n", ""), "x".repeat(200));
    }
}
