use super::section::PromSize;
use super::*;
use crate::config::PromDuration;
use serde::Deserialize;

fn message(text: &str) -> String {
    parse(text).map(|n| format!("{n:?}")).unwrap_err().to_string()
}

#[test]
fn keeps_text_and_places() {
    let node = parse("a: 012\nb:\n  - yes\n  - \"null\"\n  - ~\nc: {d: 1_000}\n").unwrap();
    assert_eq!(String::from_node(node.get("a").unwrap()).unwrap(), "012");
    let Kind::Sequence(items) = &node.get("b").unwrap().kind else { panic!("list") };
    assert_eq!((items[0].line, items[0].column), (3, 5));
    assert!(bool::from_node(&items[0]).unwrap());
    assert_eq!(items[1].kind, Kind::Scalar { text: "null".to_owned(), plain: false });
    assert!(items[2].is_null());
    assert_eq!(u64::from_node(node.get("c").unwrap().get("d").unwrap()).unwrap(), 1000);
    assert!(parse("").unwrap().is_null());
    assert!(parse("# only a comment\n").unwrap().is_null());
}

#[test]
fn resolves_anchors_merge_keys_and_binary() {
    let node = parse("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\nlist: [*b, *b]\nbin: !!binary aGk=\n").unwrap();
    let used = node.get("use").unwrap();
    assert_eq!(u64::from_node(used.get("x").unwrap()).unwrap(), 1);
    assert_eq!(u64::from_node(used.get("y").unwrap()).unwrap(), 3);
    assert_eq!(String::from_node(node.get("bin").unwrap()).unwrap(), "hi");
    assert!(message("a: !!binary '%%%'").contains("invalid base64 data"));
    assert!(
        parse("a: !!binary /w==")
            .and_then(|n| String::from_node(n.get("a").unwrap()))
            .unwrap_err()
            .to_string()
            .contains(r#""\xff" is not valid UTF-8"#)
    );
}

#[test]
fn errors_name_the_place() {
    assert_eq!(message("a: 1\nb: 2\na: 3\n"), "3:1: field a already set: the key is given twice");
    assert!(message("a: [1, 2\nb: 3\n").starts_with("2:"), "{}", message("a: [1, 2\nb: 3\n"));
    assert!(message("? [a]\n: 1\n").contains("key has to be a scalar"));
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n\
        e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f,*f]\n";
    assert!(message(bomb).contains("more than"));
}

#[test]
fn a_section_refuses_what_it_does_not_know() {
    let node = parse("job: x\ninterval: 1m30s\nlimit: 15MB\nlist: [a, b]\nextra: 1\n").unwrap();
    let mut section = Section::new(&node, "thing").unwrap();
    assert_eq!(section.get::<String>("job").unwrap(), "x");
    assert_eq!(section.or("interval", PromDuration(0)).unwrap(), PromDuration(90_000));
    assert_eq!(section.get::<PromSize>("limit").unwrap(), PromSize(15 << 20));
    assert_eq!(section.list::<String>("list", "item").unwrap(), ["a", "b"]);
    assert_eq!(section.opt::<String>("absent").unwrap(), None);
    assert_eq!(
        section.finish().unwrap_err().in_file(Path::new("f.yml")).to_string(),
        "f.yml:5:1: field extra not found in type thing"
    );
    let node = parse("list: [a, ]\nduration: 5\nnested:\n- ~\n").unwrap();
    let mut section = Section::new(&node, "thing").unwrap();
    assert_eq!(
        section.get::<PromDuration>("duration").unwrap_err().to_string(),
        "2:11: duration: not a valid duration string: \"5\""
    );
    assert_eq!(section.list::<String>("nested", "rule").unwrap_err().to_string(), "4:3: nested: empty or null rule");
    assert_eq!(PromSize::parse("100").unwrap_err(), "units: unknown unit  in 100");
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Inner {
    name: String,
    #[serde(default)]
    port: Option<u16>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    kind: Flavour,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Flavour {
    #[default]
    Sweet,
    Sour,
}

#[test]
fn serde_types_are_read_with_places() {
    let node = parse("name: 007\nport: 80\ntags: [1, on]\nkind: sour\n").unwrap();
    let want = Inner {
        name: "007".to_owned(),
        port: Some(80),
        tags: vec!["1".to_owned(), "on".to_owned()],
        kind: Flavour::Sour,
    };
    assert_eq!(node.deserialize::<Inner>().unwrap(), want);
    let error = |text: &str| parse(text).unwrap().deserialize::<Inner>().unwrap_err().to_string();
    assert_eq!(error("name: a\nprot: 1\n"), "2:1: field prot not found: one of name, port, tags, kind would fit");
    assert_eq!(error("name: a\nport: eighty\n"), "2:7: port: cannot read \"eighty\" as a whole number of 0 or more");
    assert_eq!(error("port: 1\n"), "1:1: missing field `name`");
    assert!(error("name: a\nkind: bitter\n").starts_with("2:7: kind: unknown variant"));
    assert_eq!(parse("name: x\nport:\ntags:\n").unwrap().deserialize::<Inner>().unwrap().port, None);
}

fn without_places(node: &Node) -> Node {
    Node::new(match &node.kind {
        Kind::Sequence(items) => Kind::Sequence(items.iter().map(without_places).collect()),
        Kind::Mapping(pairs) => Kind::Mapping(
            pairs.iter().map(|(k, v)| (Key { line: 0, column: 0, text: k.text.clone() }, without_places(v))).collect(),
        ),
        Kind::Scalar { text, .. } => Kind::Scalar { text: text.clone(), plain: false },
        other => other.clone(),
    })
}

#[test]
fn what_is_printed_reads_back() {
    let text = "a: 1\nb: [x, 'y: z', \"\", '12', \"multi\\nline\", '- dash', '# no', 'true', ~]\nc:\n- d: 1\n  e: []\n- {}\n- - 1\n  - 2\n'odd key: ': v\nf: {g: {h: i}}\n";
    let node = parse(text).unwrap();
    let printed = emit(&node);
    assert_eq!(without_places(&parse(&printed).unwrap()), without_places(&node), "{printed}");
    assert_eq!(emit(&parse(&printed).unwrap()), printed);
}
