//! Every column comes back byte for byte, whatever its form.

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::codec::bits::PADDING;
use crate::segment::words::{WordsBuilder, WordsInfo};

struct Bytes(Vec<u8>);

impl Payload for Bytes {
    fn get(&self, range: Range<usize>) -> Result<&[u8], Error> {
        let bytes = self.0.get(range.start..range.end + PADDING);
        bytes.ok_or_else(|| self.damaged(Malformed { what: "outside of the payload", at: range.start }))
    }

    fn damaged(&self, malformed: Malformed) -> Error {
        Error::corrupt(PathBuf::from("test"), 0, malformed)
    }
}

const NOW: i64 = 1_767_607_202_172_903_000;

struct Encoded {
    params: Vec<u8>,
    payload: Vec<u8>,
    words: Words,
    entry_ns: Vec<i64>,
}

fn encoded(values: &[String]) -> Encoded {
    let mut column = Gathered::new();
    values.iter().for_each(|value| column.push(value.as_bytes()));
    let entry_ns: Vec<i64> = (0..values.len() as i64).map(|row| NOW + row * 1_234_567_891).collect();
    let mut words = WordsBuilder::default();
    let (mut params, mut payload) = (Vec::new(), Vec::new());
    encode(&column, &entry_ns, &mut words, &mut params, &mut payload).unwrap();
    let packed = words.finish().unwrap();
    let mut info = Vec::new();
    packed.write(&mut info);
    let words = WordsInfo::read(&mut Cursor::new(&info)).unwrap().unpack(&packed.payload).unwrap();
    Encoded { params, payload, words, entry_ns }
}

fn read_back(encoded: &Encoded, rows: Range<usize>) -> Result<Vec<Vec<u8>>, Error> {
    let payload = Bytes([&encoded.payload[..], &[0; PADDING]].concat());
    let mut cursor = Cursor::new(&encoded.params);
    let column = Column::read(&mut cursor, encoded.entry_ns.len()).map_err(|e| payload.damaged(e))?;
    let mut decoded = Decoded::default();
    decoded.load(&column, &payload, rows.clone())?;
    let print = |row: usize| {
        let mut out = Vec::new();
        assert!(decoded.has(row));
        decoded.print(&column, row, encoded.entry_ns[row], &encoded.words, &mut out);
        out
    };
    Ok(rows.map(print).collect())
}

/// Form, and bytes without words.
fn check(values: &[String]) -> (u8, usize) {
    let encoded = encoded(values);
    let mut cursor = Cursor::new(&encoded.params);
    let column = Column::read(&mut cursor, values.len()).unwrap();
    cursor.finish().unwrap();
    assert_eq!(column.payload_len(), encoded.payload.len());
    for rows in [0..values.len(), values.len() / 2..values.len() / 2 + 1, values.len() / 3..values.len() * 3 / 4] {
        let got = read_back(&encoded, rows.clone()).unwrap();
        for (row, got) in rows.zip(got) {
            assert_eq!(String::from_utf8(got).unwrap(), values[row], "row {row} in form {}", encoded.params[0]);
        }
    }
    (encoded.params[0], encoded.params.len() + encoded.payload.len())
}

#[test]
fn columns_take_the_form_that_suits_them() {
    let noise = |i: u64| xxhash_rust::xxh3::xxh3_64(&i.to_le_bytes());
    let make = |f: &dyn Fn(u64) -> String| (0..3_000).map(f).collect::<Vec<String>>();
    let base36 = |i: u64| -> String {
        (0..12).map(|k| char::from(b"0123456789abcdefghijklmnopqrstuvwxyz"[(noise(i * 31 + k) % 36) as usize])).collect()
    };
    let uuid = |i: u64| -> String {
        let hex = format!("{:016x}{:016x}", noise(i), noise(i + 1_000_000));
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    };
    let iso = |ns: i64| {
        let mut text = crate::civil::rfc3339_seconds(ns);
        text.truncate(19);
        text + &format!(".{:03}Z", ns.rem_euclid(1_000_000_000) / 1_000_000)
    };
    let entry = |i: u64| NOW + i as i64 * 1_234_567_891;
    let cases: [(&str, Vec<String>, u8, usize); 14] = [
        ("constant", make(&|_| "HTTP/1.1".to_owned()), CONSTANT, 10),
        ("levels", make(&|i| ["info", "warn", "error"][(noise(i) % 3) as usize].to_owned()), DICTIONARY, 650),
        ("numbers", make(&|i| (noise(i) % 50_000).to_string()), NUMBER, 6_010),
        ("padded numbers", make(&|i| format!("{:06}", noise(i) % 1_000_000)), NUMBER, 7_600),
        ("trace ids", make(&|i| format!("{:016x}{:016x}", noise(i), noise(i + 1_000_000))), HEX, 48_010),
        ("odd hex", make(&|i| format!("{:07x}", noise(i) >> 36)), HEX, 12_010),
        ("times", make(&|i| iso(entry(i))), TIME, 20),
        ("times with jitter", make(&|i| iso(entry(i) - (noise(i) % 50) as i64 * 1_000_000)), TIME, 2_700),
        ("addresses", make(&|i| format!("10.{}.{}.{}", noise(i) % 4, noise(i + 9) % 256, noise(i + 77) % 256)), COMPOSITE, 7_400),
        ("durations", make(&|i| if noise(i) % 9 == 0 { format!("{}.{:03}s", noise(i) % 9, noise(i) % 1_000) } else { format!("{}ms", noise(i) % 1_000) }), COMPOSITE, 4_800),
        ("uuids", make(&uuid), HEX, 48_010),
        ("texts with uuids", make(&|i| format!("job {}", uuid(i))), COMPOSITE, 48_800),
        ("keys", make(&|i| format!("SHA256:{}", base36(i))), COMPOSITE, 36_200),
        ("base 36", make(&base36), TEXT, 36_060),
    ];
    for (what, values, form, most) in cases {
        let (got, size) = check(&values);
        assert_eq!(got, form, "{what}: {size} bytes");
        assert!(size <= most, "{what}: {size} bytes");
    }
}

#[test]
fn odd_columns_come_back() {
    let cases: [Vec<String>; 6] = [
        vec!["a".to_owned(), "b\nc".to_owned()],
        (0..2_000).map(|i| format!("line {i}\nand another")).collect(),
        (0..1_500).map(|i| if i % 100 == 0 { "x".repeat(i) } else { format!("n{i}") }).collect(),
        (0..1_500).map(|i| if i == 700 { "ü!%".to_owned() } else { format!("id={i} ü{}", i * 7) }).collect(),
        (0..600).map(|i| format!("{}", u64::MAX - i)).collect(),
        (0..600).map(|i| format!("user {} did thing {} at place {}", i % 7, i % 3, "abc".repeat(i % 5))).collect(),
    ];
    for values in cases {
        check(&values);
    }
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c]{0,3}",
        "[0-9]{1,20}",
        "[0-9a-f]{4,20}",
        "(GET|POST) /[a-c]/[0-9]{1,4}\\?q=[a-z0-9]{1,6}",
        "\\PC{0,12}",
        "0x[0-9a-f]{1,9}-[0-9]{1,3}",
        "2026-01-0[1-9]T1[0-9]:0[0-9]:[0-5][0-9](\\.[0-9]{1,4})?Z",
    ]
}

proptest! {
    #[test]
    fn any_column_comes_back(kinds in prop::collection::vec(value(), 1..60), copies in 1usize..30, swap in any::<u64>()) {
        let mut values = Vec::new();
        for copy in 0..copies {
            for (at, kind) in kinds.iter().enumerate() {
                let other = &kinds[(at * copy + swap as usize) % kinds.len()];
                values.push(if copy % 3 == 2 { format!("{kind}{copy}{other}") } else { kind.clone() });
            }
        }
        check(&values);
    }

    #[test]
    fn damage_does_no_harm(kinds in prop::collection::vec(value(), 1..40), copies in 1usize..20, at in any::<prop::sample::Index>(), bit in 0..8u8, params_too in any::<bool>()) {
        let values: Vec<String> = (0..copies).flat_map(|copy| kinds.iter().map(move |kind| format!("{kind}{}", copy % 3))).collect();
        let mut encoded = encoded(&values);
        if params_too || encoded.payload.is_empty() {
            let at = at.index(encoded.params.len());
            encoded.params[at] ^= 1u8 << bit;
        } else {
            let at = at.index(encoded.payload.len());
            encoded.payload[at] ^= 1u8 << bit;
        }
        let _ = read_back(&encoded, 0..values.len());
    }
}
