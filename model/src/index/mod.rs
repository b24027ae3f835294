//! The label index that stores share: from label pairs to ids and, on disk, from ids back to label sets.
//!
//! [`MemoryIndex`] is the index of what is still in memory, [`IndexWriter`] and [`DiskIndex`] that of a finished block or
//! segment. Both are a [`LabelIndex`]; [`select`] evaluates matchers over either, [`cardinality`] counts.
//! Ids are `u32`: posting lists are roaring bitmaps where they are long (Lemire et al., "Roaring Bitmaps", 2016).
//!
//! Values of one label are kept sorted, each written as what differs from the one before. That is as small as a
//! finite-state transducer and, unlike one, is walked at the speed at which an automaton reads bytes; see
//! `docs/decisions/0010-label-values-front-coded.md`.

mod format;
mod matching;
mod memory;
mod posting;
mod reader;
mod report;
mod values;
mod writer;

use roaring::RoaringBitmap;

pub use format::IndexError;
pub use matching::select;
pub use memory::MemoryIndex;
pub use posting::Ids;
pub use reader::{DiskIndex, LabelSets};
pub use report::{Cardinality, Count, cardinality, label_names, label_values};
pub use values::Value;
pub use writer::IndexWriter;

/// What an index can be asked. Names and values come in ascending order.
pub trait LabelIndex {
    /// All ids.
    ///
    /// # Errors
    /// When the index is damaged.
    fn all(&self) -> Result<RoaringBitmap, IndexError>;

    /// Visits the label names until `visit` returns false.
    ///
    /// # Errors
    /// As [`LabelIndex::all`].
    fn names(&self, visit: &mut dyn FnMut(&str) -> bool) -> Result<(), IndexError>;

    /// How many values a label has.
    ///
    /// # Errors
    /// As [`LabelIndex::all`].
    fn value_count(&self, name: &str) -> Result<u64, IndexError>;

    /// Visits the ids of one pair, if there are any.
    ///
    /// # Errors
    /// As [`LabelIndex::all`], and what `visit` returns.
    fn with_value(
        &self,
        name: &str,
        value: &str,
        visit: &mut dyn FnMut(Ids<'_>) -> Result<(), IndexError>,
    ) -> Result<(), IndexError>;

    /// Visits the values of a label that begin with `prefix`, until `visit` returns false.
    ///
    /// # Errors
    /// As [`LabelIndex::all`].
    fn walk(&self, name: &str, prefix: &str, visit: &mut dyn FnMut(Value<'_>) -> bool) -> Result<(), IndexError>;
}
