//! Whether all values of a column are of a class of texts, found out from what the directory keeps of the column where
//! possible, else by looking at every value. Asked once for a column while its segment's directory is in memory.

use model::GapClass;

use super::composite::Composite;
use super::{Column, Decoded, Form, Payload};
use crate::codec::ints::BLOCK_ROWS;
use crate::error::Error;
use crate::segment::words::Words;

impl Column {
    /// Whether every row is of the class.
    pub(in crate::segment) fn all_are(
        &self,
        class: GapClass,
        payload: &impl Payload,
        words: &Words,
    ) -> Result<bool, Error> {
        match &self.form {
            Form::Constant(text) => Ok(class.holds(text)),
            Form::Dictionary(dictionary, _) => Ok(dictionary.iter().all(|word| class.holds(words.get(*word)))),
            Form::Number(..) => Ok(true),
            Form::Hex(_) => Ok(class != GapClass::Scalar),
            Form::Composite(composite) if of_composite(composite, class, payload, words)? => Ok(true),
            Form::Time(..) | Form::Composite(_) | Form::Text(_) => self.look_at_all(class, payload, words),
        }
    }

    fn look_at_all(&self, class: GapClass, payload: &impl Payload, words: &Words) -> Result<bool, Error> {
        let mut decoded = Decoded::default();
        let mut text = Vec::new();
        let mut start = 0;
        while start < self.rows {
            let end = (start + BLOCK_ROWS).min(self.rows);
            decoded.load(self, payload, start..end)?;
            for row in start..end {
                // A time is printed with the same characters whatever the entry's time is, but for a fraction that is none.
                for entry_ns in [0, 123_456_789] {
                    text.clear();
                    decoded.print(self, row, entry_ns, words, &mut text);
                    if !class.holds(&text) {
                        return Ok(false);
                    }
                    if !matches!(self.form, Form::Time(..)) {
                        break;
                    }
                }
            }
            if matches!(self.form, Form::Time(..)) {
                break;
            }
            start = end;
        }
        Ok(true)
    }
}

/// Whether patterns and words alone show it; otherwise values have to be looked at.
fn of_composite(composite: &Composite, class: GapClass, payload: &impl Payload, words: &Words) -> Result<bool, Error> {
    let extent = composite.all_raw_extent();
    let raw = if extent.is_empty() { &[][..] } else { &payload.get(extent.clone())?[..extent.len()] };
    let none = |odd: fn(u8) -> bool| !raw.iter().any(|byte| odd(*byte)) && !composite.texts_have(words, odd);
    Ok(match class {
        GapClass::Quoted => none(|byte| matches!(byte, b'"' | b'\\')),
        GapClass::Word => none(|byte| byte <= b' ' || byte == b'"'),
        GapClass::Scalar => {
            raw.is_empty() && composite.is_digits_and(|byte| matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E'))
        }
    })
}
