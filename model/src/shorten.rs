//! How an evaluator tells a store which fields of lines it looks at, without the store knowing what a field is.
//!
//! Stores keep lines of one origin as a [`shape`](Shorten::shorten) (what they share) and columns (what stands in its gaps). An
//! evaluator that parses JSON or logfmt and looks at two of a dozen fields says, for a shape, which texts and columns make a
//! line that its parser reads to the same end. The store puts only these together. What the other columns have to be like
//! for that to hold is said as [`GapClass`]es, which the store proves of all values, or else gives the lines as they are.

use std::fmt::Debug;

/// Stands for a gap in a shape: a byte that UTF-8 never has.
pub const GAP: u8 = 0xff;

/// Makes lines of a shape shorter.
pub trait Shorten: Debug + Send + Sync {
    /// What is enough of a line of this shape, or `None` for all of it. `shape`: the text that the lines share, with [`GAP`] for
    /// each gap; what stands in a gap is never empty and ends where characters end.
    fn shorten(&self, shape: &[u8]) -> Option<Shortened>;
}

/// A line made of texts and of what stands in some gaps, in this order: text, gap, text, gap, …, text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shortened {
    /// The texts, one more than gaps; whole characters.
    pub texts: Vec<Vec<u8>>,
    /// The gaps, by their place in the shape, ascending.
    pub gaps: Vec<usize>,
    /// What has to hold for a gap: place and class. If it does not, lines are needed whole.
    pub needs: Vec<(usize, GapClass)>,
}

/// What every text that stands in a gap has to be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapClass {
    /// Between two quotes it is a string that ends with the second: no quote without a backslash before it, no open escape.
    Quoted,
    /// A number as lenient readers of JSON see it, or `true`, `false` or `null`: begins with a digit or `-` and has no space,
    /// quote, backslash, comma, colon or bracket.
    Scalar,
    /// No space or control character, and no quote.
    Word,
}

impl GapClass {
    /// All classes, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Quoted, Self::Scalar, Self::Word];

    /// Whether a text is of the class.
    pub fn holds(self, text: &[u8]) -> bool {
        match self {
            Self::Quoted => {
                let mut bytes = text.iter();
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'"' => return false,
                        b'\\' if bytes.next().is_none() => return false,
                        _ => {}
                    }
                }
                true
            }
            Self::Scalar => {
                let begins = matches!(text.first(), Some(b'0'..=b'9' | b'-'));
                begins && !text.iter().any(|byte| is_structure(*byte)) || matches!(text, b"true" | b"false" | b"null")
            }
            Self::Word => !text.is_empty() && !text.iter().any(|byte| *byte <= b' ' || *byte == b'"'),
        }
    }
}

fn is_structure(byte: u8) -> bool {
    byte <= b' ' || matches!(byte, b'"' | b'\\' | b',' | b':' | b'[' | b']' | b'{' | b'}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_their_classes() {
        let cases = [
            ("plain", "q w"),
            ("a b", "q  "),
            ("say \\\"no\\\"", "q  "),
            ("say \"no\"", "   "),
            ("cut off \\", "   "),
            ("two \\\\", "q  "),
            ("12.5", "qsw"),
            ("-", "qsw"),
            ("1e9x", "qsw"),
            ("1,2", "q w"),
            ("1]", "q w"),
            ("true", "qsw"),
            ("truth", "q w"),
            ("a=b", "q w"),
            ("a\tb", "q  "),
            ("é", "q w"),
        ];
        for (text, want) in cases {
            let letters = GapClass::ALL.into_iter().zip("qsw".chars());
            let got: String = letters.map(|(class, c)| if class.holds(text.as_bytes()) { c } else { ' ' }).collect();
            assert_eq!(got, want, "{text}");
        }
    }
}
