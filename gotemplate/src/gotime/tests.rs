use super::*;

/// Answers of Go 1.27's `time`, tab-separated, texts in hexadecimal.
///
/// `F layout zone seconds nanoseconds formatted text result`: formatting, then parsing `text` in that zone;
/// `D nanoseconds text`: a duration printed; `P text result`: a duration read. A result starting with `E` is an error.
const GO_TIME: &str = include_str!("tests/go_time.txt");

fn unhex(text: &str) -> String {
    let bytes = (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect();
    String::from_utf8(bytes).unwrap_or_else(|_| "?".to_owned())
}

fn check(line: &str) -> Result<(), String> {
    let fields: Vec<&str> = line.split('\t').collect();
    match fields[0] {
        "F" => {
            let (layout, text) = (unhex(fields[1]), unhex(fields[6]));
            let zone = Zone::load(fields[2], &Zone::Utc).unwrap();
            let time = Time::from_unix(fields[3].parse().unwrap(), fields[4].parse().unwrap(), zone.clone());
            let formatted = time.format(&layout);
            if formatted != unhex(fields[5]) {
                return Err(format!("{layout:?} of {time}: {formatted:?}, Go says {:?}", unhex(fields[5])));
            }
            let result = match Time::parse(&layout, &text, &zone, &zone) {
                Ok(time) => {
                    format!("{}.{:09}/{time}", time.unix(), time.timestamp.as_nanosecond().rem_euclid(1_000_000_000))
                }
                Err(error) => format!("E{error}"),
            };
            let want = match fields[7].strip_prefix('E') {
                Some(error) => format!("E{}", unhex(error)),
                None => {
                    let (number, text) = fields[7].split_once('/').unwrap();
                    format!("{number}/{}", unhex(text))
                }
            };
            if result == want {
                Ok(())
            } else {
                Err(format!("{layout:?} {text:?} in {}: {result}, Go says {want}", fields[2]))
            }
        }
        "D" => {
            let text = Duration(fields[1].parse().unwrap()).to_string();
            if text == unhex(fields[2]) { Ok(()) } else { Err(format!("{line}: {text}")) }
        }
        _ => {
            let text = unhex(fields[1]);
            let result = match Duration::parse(&text) {
                Ok(duration) => duration.0.to_string(),
                Err(error) => format!("E{error}"),
            };
            let want = match fields[2].strip_prefix('E') {
                Some(error) => format!("E{}", unhex(error)),
                None => fields[2].to_owned(),
            };
            if result == want { Ok(()) } else { Err(format!("{text:?}: {result}, Go says {want}")) }
        }
    }
}

#[test]
fn times_and_durations_as_go_has_them() {
    let wrong: Vec<String> = GO_TIME.lines().filter_map(|line| check(line).err()).collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong[..wrong.len().min(30)].join("\n"));
}

#[test]
fn zones_by_name() {
    assert_eq!(Zone::load("", &Zone::Utc), Ok(Zone::Utc));
    assert_eq!(Zone::load("Mars/Olympus", &Zone::Utc).unwrap_err().to_string(), "unknown time zone Mars/Olympus");
    assert_eq!(Zone::load("europe/berlin", &Zone::Utc).unwrap_err().to_string(), "unknown time zone europe/berlin");
    assert_eq!(Zone::load("../etc/passwd", &Zone::Utc), Err(ZoneError::Invalid));
    let local = Zone::load("Asia/Tokyo", &Zone::Utc).unwrap();
    assert_eq!(Zone::load("Local", &local), Ok(local));
}

#[test]
fn instants_beyond_the_calendar_are_held_at_its_edge() {
    assert_eq!(Time::from_unix(i64::MAX, i64::MAX, Zone::Utc).format("2006"), "9999");
    assert_eq!(Time::from_unix(i64::MIN, i64::MIN, Zone::Utc).format("2006"), "-9999");
    let zero = Time::zero();
    assert!(zero.is_zero());
    assert_eq!(zero.to_string(), "0001-01-01 00:00:00 +0000 UTC");
    assert_eq!(zero.plus(Duration(i64::MIN)).plus(Duration(i64::MAX)).unix(), zero.unix() - 1);
    assert_eq!(Time::from_unix(0, 0, Zone::Utc).since(&zero), Duration(i64::MAX));
    assert_eq!(Time::from_unix(-1, 500_000_000, Zone::Utc).unix(), -1);
}

proptest::proptest! {
    #[test]
    fn nothing_panics(layout in "[-0-9:.,ZTJanMondSuPpm_ é]{0,16}", text in ".{0,16}", seconds: i64, nanoseconds: i64) {
        let zone = Zone::load("America/New_York", &Zone::Utc).unwrap();
        let time = Time::from_unix(seconds, nanoseconds, zone.clone());
        let written = time.format(&layout);
        let _ = (Time::parse(&layout, &text, &zone, &zone), Time::parse(&layout, &written, &zone, &zone));
        let _ = (Duration::parse(&text), Duration(seconds).to_string());
    }

    #[test]
    fn what_is_written_is_read_back(seconds in -60_000_000_000i64..250_000_000_000, nanoseconds in 0i64..1_000_000_000) {
        let layout = "2006-01-02T15:04:05.999999999Z07:00";
        let zone = Zone::load("Europe/Berlin", &Zone::Utc).unwrap();
        let time = Time::from_unix(seconds, nanoseconds, zone.clone());
        // The layout has no seconds of the offset, which local mean time has.
        proptest::prop_assume!(time.offset_seconds() % 60 == 0);
        let back = Time::parse(layout, &time.format(layout), &Zone::Utc, &zone).unwrap();
        proptest::prop_assert_eq!(back.timestamp, time.timestamp);
        proptest::prop_assert_eq!(Duration::parse(&Duration(seconds).to_string()), Ok(Duration(seconds)));
    }
}
