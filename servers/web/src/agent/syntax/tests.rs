use proptest::prelude::*;

use super::*;

struct Demo;

impl Scope for Demo {
    fn lookup(&self, path: &[&str]) -> Option<(Value, usize)> {
        match path {
            ["demo", "one", ..] => Some((Value::object([("targets", Value::array(vec![Value::str("t")]))]), 2)),
            ["hidden", ..] => Some((Value::Secret("pw".into()), 1)),
            _ => None,
        }
    }
}

fn value(text: &str) -> Result<Value> {
    let body = parse("t.alloy", &format!("x = {text}\n"))?;
    eval(&body.attributes[0].value, &Demo)
}

#[test]
fn expressions() {
    let cases = [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("2 ^ 3 ^ 2", "512"),
        ("-2 + 5 % 3", "0"),
        ("1 < 2 && !(3 <= 2) || false", "true"),
        (r#""a" + "b" == "ab""#, "true"),
        ("[1, 2,\n 3,][1]", "2"),
        (r#"{ a = 1, "b c" = [true], }["b c"]"#, "[true]"),
        (r#"{ a = 1 }["gone"]"#, "null"),
        ("demo.one.targets[0]", "\"t\""),
        (r#""\t\x41\u00e9\101\"""#, "\"\\tAéA\\\"\""),
        ("`raw \\n`", "\"raw \\\\n\""),
        ("hidden + \"x\"", "\"(secret)\""),
        (r#"string.join(array.concat(["a"], ["b"]), "-")"#, "\"a-b\""),
        (r#"string.format("%s=%d%%", "x", 5)"#, "\"x=5%\""),
        (r#"coalesce("", null, "z")"#, "\"z\""),
        (r#"encoding.from_json("{\"a\": [1]}").a"#, "[1]"),
        (r#"json_path("{\"a\":{\"b\":[7]}}", ".a.b[0]")"#, "[7]"),
        (r#"encoding.to_base64("hi") + trim_space(" x ")"#, "\"aGk=x\""),
        (r#"file.path_join("/a", "b/", "c")"#, "\"/a/b/c\""),
        ("constants.os", "\"linux\""),
        ("1.5e2", "150"),
        ("/* c */ 1 // d", "1"),
    ];
    for (text, want) in cases {
        assert_eq!(value(text).map(|v| v.to_string()), Ok(want.to_owned()), "{text}");
    }
}

#[test]
fn errors_name_the_place() {
    let cases = [
        ("x = \n", "t.alloy:1:5: expected a value, found the end of the line"),
        ("x = 1 2\n", "t.alloy:1:7: expected the end of the line, found 2"),
        ("a.b \"l\" {\n  x = \"open\n}\n", "t.alloy:2:7: string is not closed"),
        ("a \"1x\" {}\n", "t.alloy:1:3: block label \"1x\" must be an identifier"),
        ("x = 1\nx = 2\n", "t.alloy:2:1: attribute \"x\" is given twice"),
        ("a {\n", "t.alloy:2:1: expected \"}\", found the end of the file"),
        ("x = [1 2]\n", "t.alloy:1:8: expected \"]\", found 2"),
        ("x = {a = 1 b = 2}\n", "t.alloy:1:12: expected \",\" or \"}\", found \"b\""),
        ("x = $\n", "t.alloy:1:5: unexpected character '$'"),
        ("a.b c\n", "t.alloy:1:5: expected \"=\" or a block after \"a.b\", found \"c\""),
    ];
    for (text, want) in cases {
        assert_eq!(parse("t.alloy", text).unwrap_err().to_string(), want, "{text:?}");
    }
    let cases = [
        ("nope.x", "1:5: component or name \"nope.x\" does not exist"),
        ("1 + \"a\"", "1:5: operator + does not fit number and string"),
        ("[1][3]", "1:9: index 3 out of range of 1 items"),
        ("gone(1)", "1:5: function \"gone\" does not exist"),
        ("1 / 0", "1:9: division by zero"),
        ("demo.one.nope", "1:5: field \"nope\" does not exist"),
    ];
    for (text, want) in cases {
        assert_eq!(value(text).unwrap_err().to_string(), format!("t.alloy:{want}"), "{text:?}");
    }
    let diag = parse("t.alloy", "a = 1\n\tb = ]\n").unwrap_err();
    assert_eq!(
        diag.render("a = 1\n\tb = ]\n"),
        "t.alloy:2:6: expected a value, found \"]\"\n\n2 | \tb = ]\n  | \t    ^"
    );
}

#[test]
fn arguments_are_read_by_type() {
    let text = "c \"l\" {\n name = \"n\"\n wait = \"1m\"\n size = \"2KiB\"\n list = [\"a\", 1]\n map = {k = null}\n inner { x = 1 }\n extra = 3\n}\n";
    let body = parse("t.alloy", text).unwrap();
    let mut args = Args::evaluate(&body.blocks[0], &Demo).unwrap();
    assert_eq!(args.required("name").unwrap(), "n");
    assert_eq!(args.duration_or("wait", std::time::Duration::ZERO).unwrap().as_secs(), 60);
    assert_eq!(args.size_or("size", 0).unwrap(), 2048);
    assert_eq!(args.texts("list").unwrap(), ["a", "1"]);
    assert_eq!(args.text_map("map").unwrap(), [("k".to_owned(), None)].into());
    assert_eq!(args.block("inner").unwrap().unwrap().count_or("x", 0).unwrap(), 1);
    assert_eq!(args.required("gone").unwrap_err().to_string(), "t.alloy:1:1: missing required attribute \"gone\"");
    assert_eq!(args.finish().unwrap_err().to_string(), "t.alloy:8:10: unrecognized attribute name \"extra\"");
}

#[test]
fn deep_nesting_is_refused() {
    for text in ["x = ".to_owned() + &"[".repeat(5000), "x = ".to_owned() + &"-".repeat(5000) + "1", "a {".repeat(5000)]
    {
        assert!(parse("t.alloy", &text).is_err());
    }
    let long = format!("x = 1{}\n", " + 1".repeat(5000));
    assert!(parse("t.alloy", &long).is_err());
}

proptest! {
    #[test]
    fn any_text_ends(text in "([a-c{}\\[\\]().,=\"`1 \n+^-]|null|//|/\\*){0,60}") {
        if let Ok(body) = parse("t", &text) {
            for attribute in &body.attributes {
                let _ = eval(&attribute.value, &Demo);
            }
        }
    }
}
