//! Codecs of columns: bits, entropy coding, streams of integers.

pub(crate) mod ans;
pub(crate) mod bits;
pub(crate) mod ints;
