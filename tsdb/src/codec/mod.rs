//! How samples become bytes and come back.
//!
//! [`stream`] is the form that grows sample by sample (chunks of the head); [`values`] and [`times`] are the columns of finished
//! chunks in blocks, made of [`ints`], which are made of [`pack`]ed bits. [`decimal`] turns floats into integers and back;
//! [`histogram`] is the form of native histograms.
//! All of them work on plain slices, know no file, and give back every bit.
#![doc = include_str!("../../docs/format/column.md")]
#![doc = include_str!("../../docs/format/histogram.md")]

pub(crate) mod bytes;
pub(crate) mod decimal;
pub(crate) mod histogram;
pub(crate) mod ints;
pub(crate) mod pack;
pub(crate) mod stream;
pub(crate) mod times;
pub(crate) mod values;
