use super::bits::{BitReader, XorFloat, crc32c};
use super::chunks::read_chunk;
use super::*;

#[test]
fn checksums_and_bits() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    let mut bits = BitReader::new(&[0b1010_0000, 0xff, 0b0111_1111]);
    assert_eq!(bits.bits(3), Ok(5));
    assert_eq!(bits.bits(9), Ok(0b0_0000_1111));
    assert_eq!(bits.bits(8), Ok(0b1111_0111));
    assert_eq!(bits.bits(4), Ok(0xf));
    assert!(bits.bit().is_err());
    // Prefix 10 and three bits: 4 is the highest value, 5 to 7 are -3 to -1.
    for (byte, want) in [(0b1010_0000u8, 4), (0b1010_1000, -3), (0b1011_1000, -1), (0b1000_1000, 1), (0, 0)] {
        assert_eq!(BitReader::new(&[byte]).varbit(), Ok(want), "{byte:#b}");
    }
    let mut value = XorFloat::new(1.5);
    assert_eq!(value.next(&mut BitReader::new(&[0])), Ok(1.5));
}

#[test]
fn a_chunk_of_floats() {
    // As a program writes it that follows the format: 1000 at 5.0, then 2.0 s later the same, then 2.5 s later 6.0.
    let mut out = BitWriter::default();
    out.bytes.extend_from_slice(&[0, 3]);
    out.varint(1_000 << 1);
    out.bits(5f64.to_bits(), 64);
    out.varint(2_000);
    out.bits(0, 1);
    out.bits(0b10, 2);
    out.bits(500, 14);
    out.xor(5.0, 6.0);
    let mut samples = Samples::default();
    read_chunk(1, &out.bytes, &mut samples).unwrap();
    assert_eq!(samples.floats.timestamps, [1_000, 3_000, 5_500]);
    assert_eq!(samples.floats.values, [5.0, 5.0, 6.0]);
    for len in 0..out.bytes.len() {
        assert!(read_chunk(1, &out.bytes[..len], &mut Samples::default()).is_err(), "cut to {len}");
    }
    assert!(read_chunk(9, &out.bytes, &mut samples).is_err());
}

#[test]
fn chunks_of_histograms() {
    // Two integer histograms and a staleness marker, then a float histogram with boundaries of its own.
    let mut out = BitWriter::default();
    out.bytes.extend_from_slice(&[0, 3, 0b1000_0000]);
    out.bits(243 + 1 - 10, 8);
    for number in [1, 1, 2, 0, 0] {
        // Schema; one positive span of two buckets from 0 on; no negative one.
        out.varbit(number);
    }
    [1_000, 7, 1].into_iter().for_each(|number| out.varbit(number));
    out.bits(2.5f64.to_bits(), 64);
    [2, 2].into_iter().for_each(|number| out.varbit(number));
    [15_000, 3, 0].into_iter().for_each(|number| out.varbit(number));
    out.bits(0, 1);
    [1, 1].into_iter().for_each(|number| out.varbit(number));
    [0, -3, 0].into_iter().for_each(|number| out.varbit(number));
    out.xor(2.5, model::STALE_NAN);
    let mut samples = Samples::default();
    read_chunk(2, &out.bytes, &mut samples).unwrap();
    assert_eq!(samples.histograms.iter().map(|(time, ..)| *time).collect::<Vec<_>>(), [1_000, 16_000, 31_000]);
    let [first, second, stale] = [0, 1, 2].map(|at| samples.histograms[at].1.to_float());
    assert_eq!((first.schema, first.zero_threshold, first.count, first.zero_count), (1, 2f64.powi(-10), 7.0, 1.0));
    assert_eq!((first.positive_buckets, first.sum), (vec![2.0, 4.0], 2.5));
    assert_eq!((second.count, second.positive_buckets, second.sum), (10.0, vec![3.0, 6.0], 2.5));
    assert!(model::is_stale(stale.sum));
    assert_eq!((first.reset_hint, second.reset_hint), (model::ResetHint::Reset, model::ResetHint::Unknown));

    let mut out = BitWriter::default();
    out.bytes.extend_from_slice(&[0, 1, 0]);
    out.bits(0, 8);
    // Schema; one positive span of two buckets; no negative one; two boundaries, 0.25 and one that takes all its bits.
    for number in [-53, 1, 2, 0, 0, 2, 251] {
        out.varbit(number);
    }
    out.bits(0, 1);
    out.bits(0.3333f64.to_bits(), 64);
    out.varbit(-5);
    for value in [3f64, 0.0, 1.0, 1.0, 2.0] {
        out.bits(value.to_bits(), 64);
    }
    let mut samples = Samples::default();
    read_chunk(3, &out.bytes, &mut samples).unwrap();
    let (time, histogram, _) = &samples.histograms[0];
    let histogram = histogram.to_float();
    assert_eq!((*time, histogram.count, histogram.positive_buckets), (-5, 3.0, vec![1.0, 2.0]));
    assert_eq!(*histogram.custom_values, [0.25, 0.3333]);
    for len in 0..out.bytes.len() {
        assert!(read_chunk(3, &out.bytes[..len], &mut Samples::default()).is_err(), "cut to {len}");
    }
}

#[derive(Default)]
struct BitWriter {
    bytes: Vec<u8>,
    used: u32,
}

impl BitWriter {
    fn bits(&mut self, value: u64, count: u32) {
        for bit in (0..count).rev() {
            if self.used == 0 {
                self.bytes.push(0);
            }
            let last = self.bytes.last_mut().unwrap();
            *last |= ((value >> bit & 1) as u8) << (7 - self.used);
            self.used = (self.used + 1) % 8;
        }
    }

    /// Signed or not: the same for what fits both.
    fn varbit(&mut self, value: i64) {
        if value == 0 {
            return self.bits(0, 1);
        }
        let widths = [3u32, 6, 9, 12, 18, 25, 56];
        // The range of the signed form, and within it of the other: -3 to 3 for three bits.
        let at = widths.iter().position(|width| value.unsigned_abs() < 1 << (width - 1)).unwrap_or(7);
        self.bits((1 << (at + 1)) - 1, at as u32 + 1);
        if at < 7 {
            self.bits(0, 1);
        }
        self.bits(value as u64, widths.get(at).copied().unwrap_or(64));
    }

    fn xor(&mut self, from: f64, to: f64) {
        let xor = from.to_bits() ^ to.to_bits();
        let (leading, trailing) = (xor.leading_zeros().min(31), xor.trailing_zeros());
        self.bits(0b11, 2);
        self.bits(u64::from(leading), 5);
        self.bits(u64::from(64 - leading - trailing), 6);
        self.bits(xor >> trailing, 64 - leading - trailing);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bits(value & 0x7f | 0x80, 8);
            value >>= 7;
        }
        self.bits(value, 8);
    }
}
