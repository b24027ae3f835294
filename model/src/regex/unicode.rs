//! Unicode classes by the names Go's `\p{…}` knows.
//!
//! Go accepts general categories, their long names, script names, `Any`, `ASCII` and `Assigned`, ignoring case, spaces,
//! hyphens and underscores; script short names (`Grek`), properties (`Uppercase`) and prefixes (`IsGreek`, `sc=`) are
//! refused. The character tables are those of `regex-syntax`.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

/// Accepted general categories, folded as [`fold_name`] does. `cs` holds surrogates, which no text here has.
#[rustfmt::skip]
const CATEGORIES: &[&str] = &[
    "c", "cc", "cf", "cn", "co", "cs", "l", "lc", "ll", "lm", "lo", "lt", "lu", "m", "mc", "me", "mn", "n",
    "nd", "nl", "no", "p", "pc", "pd", "pe", "pf", "pi", "po", "ps", "s", "sc", "sk", "sm", "so", "z", "zl",
    "zp", "zs", "casedletter", "closepunctuation", "combiningmark", "connectorpunctuation", "control",
    "currencysymbol", "dashpunctuation", "decimalnumber", "enclosingmark", "finalpunctuation", "format",
    "initialpunctuation", "letter", "letternumber", "lineseparator", "lowercaseletter", "mark", "mathsymbol",
    "modifierletter", "modifiersymbol", "nonspacingmark", "number", "openpunctuation", "other", "otherletter",
    "othernumber", "otherpunctuation", "othersymbol", "paragraphseparator", "privateuse", "punctuation",
    "separator", "spaceseparator", "spacingmark", "surrogate", "symbol", "titlecaseletter", "unassigned",
    "uppercaseletter", "cntrl", "digit", "punct",
];

/// Accepted script names of Unicode 17, folded; those that the tables lack yet are refused.
#[rustfmt::skip]
const SCRIPTS: &[&str] = &[
    "adlam", "ahom", "anatolianhieroglyphs", "arabic", "armenian", "avestan", "balinese", "bamum", "bassavah",
    "batak", "bengali", "beriaerfe", "bhaiksuki", "bopomofo", "brahmi", "braille", "buginese", "buhid",
    "canadianaboriginal", "carian", "caucasianalbanian", "chakma", "cham", "cherokee", "chorasmian", "common",
    "coptic", "cuneiform", "cypriot", "cyprominoan", "cyrillic", "deseret", "devanagari", "divesakuru", "dogra",
    "duployan", "egyptianhieroglyphs", "elbasan", "elymaic", "ethiopic", "garay", "georgian", "glagolitic",
    "gothic", "grantha", "greek", "gujarati", "gunjalagondi", "gurmukhi", "gurungkhema", "han", "hangul",
    "hanifirohingya", "hanunoo", "hatran", "hebrew", "hiragana", "imperialaramaic", "inherited",
    "inscriptionalpahlavi", "inscriptionalparthian", "javanese", "kaithi", "kannada", "katakana", "kawi",
    "kayahli", "kharoshthi", "khitansmallscript", "khmer", "khojki", "khudawadi", "kiratrai", "lao", "latin",
    "lepcha", "limbu", "lineara", "linearb", "lisu", "lycian", "lydian", "mahajani", "makasar", "malayalam",
    "mandaic", "manichaean", "marchen", "masaramgondi", "medefaidrin", "meeteimayek", "mendekikakui",
    "meroiticcursive", "meroitichieroglyphs", "miao", "modi", "mongolian", "mro", "multani", "myanmar",
    "nabataean", "nagmundari", "nandinagari", "newtailue", "newa", "nko", "nushu", "nyiakengpuachuehmong",
    "ogham", "olchiki", "olonal", "oldhungarian", "olditalic", "oldnortharabian", "oldpermic", "oldpersian",
    "oldsogdian", "oldsoutharabian", "oldturkic", "olduyghur", "oriya", "osage", "osmanya", "pahawhhmong",
    "palmyrene", "paucinhau", "phagspa", "phoenician", "psalterpahlavi", "rejang", "runic", "samaritan",
    "saurashtra", "sharada", "shavian", "siddham", "sidetic", "signwriting", "sinhala", "sogdian",
    "sorasompeng", "soyombo", "sundanese", "sunuwar", "sylotinagri", "syriac", "tagalog", "tagbanwa", "taile",
    "taitham", "taiviet", "taiyo", "takri", "tamil", "tangsa", "tangut", "telugu", "thaana", "thai", "tibetan",
    "tifinagh", "tirhuta", "todhri", "tolongsiki", "toto", "tulutigalari", "ugaritic", "vai", "vithkuqi",
    "wancho", "warangciti", "yezidi", "yi", "zanabazarsquare",
];

/// The class called `name`, or `None` if Go knows no such name.
pub(super) fn class(name: &str) -> Option<ClassUnicode> {
    let folded = fold_name(name);
    match folded.as_str() {
        "any" => return Some(ClassUnicode::new([ClassUnicodeRange::new('\0', char::MAX)])),
        "ascii" => return Some(ClassUnicode::new([ClassUnicodeRange::new('\0', '\x7f')])),
        "cs" | "surrogate" => return Some(ClassUnicode::empty()),
        "assigned" => {
            let mut class = table("gc=cn")?;
            class.negate();
            return Some(class);
        }
        _ => {}
    }
    if CATEGORIES.contains(&folded.as_str()) {
        return table(&format!("gc={folded}"));
    }
    if SCRIPTS.contains(&folded.as_str()) {
        return table(&format!("sc={folded}"));
    }
    None
}

fn fold_name(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).map(|c| c.to_ascii_lowercase()).collect()
}

fn table(query: &str) -> Option<ClassUnicode> {
    match regex_syntax::parse(&format!(r"\p{{{query}}}")).ok()?.into_kind() {
        HirKind::Class(Class::Unicode(class)) => Some(class),
        // A class of one character is simplified to a literal.
        HirKind::Literal(literal) => {
            let c = std::str::from_utf8(&literal.0).ok()?.chars().next()?;
            Some(ClassUnicode::new([ClassUnicodeRange::new(c, c)]))
        }
        _ => None,
    }
}
