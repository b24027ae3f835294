use super::*;

/// One line per value: bits, then Go's 'f', 'e', 'g' with precision -1, a precision, the three with it, and JSON.
/// Written by Go 1.27's `strconv.FormatFloat` and `encoding/json`.
const GO_FLOATS: &str = include_str!("tests/go_floats.txt");

fn with_precision(value: f64, format: FloatFormat, precision: usize) -> String {
    let mut out = String::new();
    write_float_precision(&mut out, value, format, precision);
    out
}

fn check_lines(lines: &str) -> usize {
    let mut checked = 0;
    for line in lines.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let [bits, fixed, exponent, general, precision, fixed_p, exponent_p, general_p, json] = fields[..] else {
            panic!("bad line {line:?}")
        };
        let value = f64::from_bits(u64::from_str_radix(bits, 16).unwrap());
        let precision: usize = precision.parse().unwrap();
        assert_eq!(float_text(value, FloatFormat::Fixed), fixed, "{line}");
        assert_eq!(float_text(value, FloatFormat::Exponent), exponent, "{line}");
        assert_eq!(float_text(value, FloatFormat::General), general, "{line}");
        assert_eq!(with_precision(value, FloatFormat::Fixed, precision), fixed_p, "{line}");
        assert_eq!(with_precision(value, FloatFormat::Exponent, precision), exponent_p, "{line}");
        assert_eq!(with_precision(value, FloatFormat::General, precision), general_p, "{line}");
        if json != "-" {
            let mut out = Vec::new();
            write_json_float(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), json, "{line}");
        }
        for text in [fixed, exponent, general] {
            let back = parse_float(text).unwrap();
            assert!(back.to_bits() == value.to_bits() || back.is_nan() && value.is_nan(), "{line}: {text} gave {back}");
        }
        checked += 1;
    }
    checked
}

#[test]
fn floats_are_written_as_go_writes_them() {
    assert!(check_lines(GO_FLOATS) > 150);
}

#[test]
fn huge_precisions_are_padded_with_zeros() {
    let text = with_precision(0.5, FloatFormat::Fixed, 70_000);
    assert_eq!(text.len(), 70_002);
    assert!(text.starts_with("0.5000"));
    let text = with_precision(f64::MIN_POSITIVE, FloatFormat::Exponent, 2_000);
    assert!(text.starts_with("2.225073858507201383") && text.ends_with("000e-308"));
    assert_eq!(with_precision(1e22, FloatFormat::General, 70_000), "10000000000000000000000");
    assert_eq!(with_precision(5e-324, FloatFormat::Fixed, 3), "0.000");
    assert_eq!(with_precision(-0.0, FloatFormat::General, 0), "-0");
}

#[test]
fn floats_are_read_as_go_reads_them() {
    let good: &[(&str, f64)] = &[
        ("1_000", 1000.0),
        ("0x_1p3", 8.0),
        ("1_0.5", 10.5),
        ("0x1p-2", 0.25),
        ("0X1.8P+1", 3.0),
        ("nan", f64::NAN),
        ("NaN", f64::NAN),
        ("+Inf", f64::INFINITY),
        ("-infinity", f64::NEG_INFINITY),
        ("iNf", f64::INFINITY),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e-400", 0.0),
        ("-0", -0.0),
        ("0_1", 1.0),
        ("1e+5", 1e5),
        ("0x1.fffffffffffff8p0", 2.0),
        ("0x1.fffffffffffff7fffp0", 1.9999999999999998),
        ("0x1.00000000000008p0", 1.0),
        ("0x1.000000000000080000000000000001p0", 1.0000000000000002),
        ("0x1p-1074", 5e-324),
        ("0x1p-1075", 0.0),
        ("0x1.8p-1075", 5e-324),
        ("0x123456789abcdef0123p0", 5373003642731685151011.0),
        ("0x.1p4", 1.0),
        ("0x1.fffffffffffffp1023", f64::MAX),
    ];
    for &(text, want) in good {
        let got = parse_float(text).unwrap();
        assert!(got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(), "{text}: {got} want {want}");
    }
    let bad: &[(&str, &str)] = &[
        ("_1", "invalid syntax"),
        ("1__0", "invalid syntax"),
        ("1_", "invalid syntax"),
        ("+nan", "invalid syntax"),
        ("infi", "invalid syntax"),
        (".", "invalid syntax"),
        ("1e", "invalid syntax"),
        ("1e+", "invalid syntax"),
        ("0x1", "invalid syntax"),
        ("0x", "invalid syntax"),
        ("0b1", "invalid syntax"),
        ("", "invalid syntax"),
        (" 1", "invalid syntax"),
        ("1 ", "invalid syntax"),
        ("é", "invalid syntax"),
        ("1e400", "value out of range"),
        ("-1e400", "value out of range"),
        ("0x1p1024", "value out of range"),
        ("0x1.fffffffffffff8p1023", "value out of range"),
        ("0x1p9999999999999", "value out of range"),
    ];
    for &(text, kind) in bad {
        let error = parse_float(text).unwrap_err();
        assert_eq!(error.to_string(), format!("strconv.ParseFloat: parsing {}: {kind}", quote(text)));
    }
    assert!(parse_float_plain("1_000").is_err());
    assert_eq!(parse_float_plain("0x1p4"), Ok(16.0));
}

#[test]
fn integers_are_read_as_go_reads_them() {
    let good: &[(&str, u32, u32, i64)] = &[
        ("0b101", 0, 64, 5),
        ("0o17", 0, 64, 15),
        ("017", 0, 64, 15),
        ("0x1F", 0, 64, 31),
        ("1_000", 0, 64, 1000),
        ("0_7", 0, 64, 7),
        ("0", 0, 64, 0),
        ("-0", 0, 64, 0),
        ("+5", 10, 64, 5),
        ("08", 10, 64, 8),
        ("-128", 10, 8, -128),
        ("-9223372036854775808", 10, 64, i64::MIN),
        ("zz", 36, 64, 1295),
    ];
    for &(text, base, bits, want) in good {
        assert_eq!(parse_int(text, base, bits), Ok(want), "{text}");
    }
    let bad: &[(&str, u32, u32, &str)] = &[
        ("08", 0, 64, "strconv.ParseInt: parsing \"08\": invalid syntax"),
        ("0x", 0, 64, "strconv.ParseInt: parsing \"0x\": invalid syntax"),
        ("1_000", 10, 64, "strconv.ParseInt: parsing \"1_000\": invalid syntax"),
        ("", 10, 64, "strconv.ParseInt: parsing \"\": invalid syntax"),
        ("-", 10, 64, "strconv.ParseInt: parsing \"-\": invalid syntax"),
        ("abc", 10, 64, "strconv.ParseInt: parsing \"abc\": invalid syntax"),
        ("--1", 10, 64, "strconv.ParseInt: parsing \"--1\": invalid syntax"),
        ("128", 10, 8, "strconv.ParseInt: parsing \"128\": value out of range"),
        ("9223372036854775808", 10, 64, "strconv.ParseInt: parsing \"9223372036854775808\": value out of range"),
        ("99999999999999999999", 10, 64, "strconv.ParseInt: parsing \"99999999999999999999\": value out of range"),
    ];
    for &(text, base, bits, want) in bad {
        assert_eq!(parse_int(text, base, bits).unwrap_err().to_string(), want);
    }
    assert_eq!(parse_uint("18446744073709551615", 10, 64), Ok(u64::MAX));
    assert_eq!(parse_uint("-1", 10, 64).unwrap_err().kind, NumberErrorKind::Syntax);
    assert_eq!(parse_uint("256", 10, 8).unwrap_err().kind, NumberErrorKind::Range);
}

#[test]
fn strings_are_quoted_as_go_quotes_them() {
    for (text, want) in [
        ("plain", r#""plain""#),
        ("a\"b\\c", r#""a\"b\\c""#),
        ("\x07\x08\x0c\n\r\t\x0b", r#""\a\b\f\n\r\t\v""#),
        ("\0\x1f\x7f", r#""\x00\x1f\x7f""#),
        ("é☺\u{1f600}", "\"é☺\u{1f600}\""),
        ("\u{a0}\u{ad}\u{200b}\u{feff}", r#""\u00a0\u00ad\u200b\ufeff""#),
        ("\u{10ffff}\u{e0001}", r#""\U0010ffff\U000e0001""#),
        ("\u{fffd}", "\"\u{fffd}\""),
    ] {
        assert_eq!(quote(text), want);
    }
    let mut out = String::new();
    write_quoted(&mut out, b"a\xff\xc3(", '"');
    assert_eq!(out, r#""a\xff\xc3(""#);
    out.clear();
    write_quoted_ascii(&mut out, "é☺".as_bytes(), '"');
    assert_eq!(out, r#""\u00e9\u263a""#);
    out.clear();
    write_quoted(&mut out, b"it's", '\'');
    assert_eq!(out, r"'it\'s'");
}

proptest::proptest! {
    #[test]
    fn every_form_reads_back_bit_for_bit(bits: u64) {
        let value = f64::from_bits(bits);
        for format in [FloatFormat::Fixed, FloatFormat::Exponent, FloatFormat::General] {
            let back = parse_float(&float_text(value, format)).unwrap();
            proptest::prop_assert!(back.to_bits() == bits || back.is_nan() && value.is_nan());
        }
    }

    #[test]
    fn reading_never_panics(text in ".{0,20}", digits in "[-+0-9a-fA-FxXpPeE_.in]{0,24}", base in 0u32..40, bits in 0u32..70) {
        for text in [text.as_str(), digits.as_str()] {
            let _ = (parse_float(text), parse_int(text, base, bits), parse_uint(text, base, bits), quote(text));
        }
    }
}
