use super::*;
use crate::notify::matcher::{MatcherMode, parse_matchers};

const NOW: i64 = 10_000_000;

fn matchers(text: &str) -> Matchers {
    Matchers::in_order(parse_matchers(text, MatcherMode::default()).expect("well formed"))
}

fn post(text: &str, starts: Option<i64>, ends: i64) -> PostableSilence {
    PostableSilence {
        matchers: matchers(text),
        starts_at_ms: starts.map(|at| NOW + at),
        ends_at_ms: Some(NOW + ends),
        created_by: "me".to_owned(),
        comment: "why".to_owned(),
        ..PostableSilence::default()
    }
}

/// A store whose ids are `s1`, `s2`, ….
struct Store(Silences, u32);

impl Store {
    fn new(limits: SilenceLimits) -> Self {
        Self(Silences::new(limits, NameScheme::Utf8), 0)
    }

    fn set(&mut self, silence: PostableSilence, now: i64) -> Result<String, String> {
        let next = self.1 + 1;
        let changed = self.0.set(silence, NOW + now, || format!("s{next}")).map_err(|e| e.to_string())?;
        let id = changed.last().map(|s| s.id.clone()).unwrap_or_default();
        if id == format!("s{next}") {
            self.1 = next;
        }
        Ok(id)
    }

    fn states(&self, now: i64) -> Vec<(&str, SilenceState, i64, i64)> {
        self.0.iter().map(|s| (s.id.as_str(), s.state(NOW + now), s.starts_at_ms - NOW, s.ends_at_ms - NOW)).collect()
    }
}

fn with_id(id: &str, silence: PostableSilence) -> PostableSilence {
    PostableSilence { id: id.to_owned(), ..silence }
}

#[test]
fn states_follow_the_times() {
    let mut store = Store::new(SilenceLimits::default());
    store.set(post("a=b", Some(100), 200), 0).expect("valid");
    for (now, want) in [
        (0, SilenceState::Pending),
        (99, SilenceState::Pending),
        (100, SilenceState::Active),
        (200, SilenceState::Active),
        (201, SilenceState::Expired),
    ] {
        assert_eq!(store.states(now)[0].1, want, "{now}");
        let labels = Labels::from_pairs([("a", "b")]);
        assert_eq!(store.0.silencing(&labels, NOW + now).len(), usize::from(want == SilenceState::Active));
    }
    // A start in the past becomes now.
    store.set(post("a=b", Some(-100), 200), 0).expect("valid");
    assert_eq!(store.states(0)[1].2, 0);
}

#[test]
fn history_is_not_rewritten() {
    use SilenceState::{Active, Expired, Pending};
    // The end of an active silence may move.
    let mut store = Store::new(SilenceLimits::default());
    store.set(post("a=b", None, 1_000), 0).expect("valid");
    assert_eq!(store.set(with_id("s1", post("a=b", Some(0), 5_000)), 100), Ok("s1".to_owned()));
    assert_eq!(store.states(100), [("s1", Active, 0, 5_000)]);
    // Its matchers may not: it ends, another one goes on.
    assert_eq!(store.set(with_id("s1", post("a=c", Some(0), 5_000)), 200), Ok("s2".to_owned()));
    assert_eq!(store.states(200), [("s1", Expired, 0, 199), ("s2", Active, 200, 5_000)]);
    // Nor may its start.
    assert_eq!(store.set(with_id("s2", post("a=c", Some(3_000), 5_000)), 1_500), Ok("s3".to_owned()));
    assert_eq!(store.states(1_500)[1..], [("s2", Expired, 200, 1_499), ("s3", Pending, 3_000, 5_000)]);
    // A pending one may move both, but not into the past.
    assert_eq!(store.set(with_id("s3", post("a=c", Some(4_000), 6_000)), 1_600), Ok("s3".to_owned()));
    assert_eq!(store.set(with_id("s3", post("a=c", Some(1_000), 6_000)), 1_700), Ok("s4".to_owned()));
    assert_eq!(store.states(1_700)[2..], [("s3", Expired, 1_699, 1_699), ("s4", Active, 1_700, 6_000)]);
    // An expired one is created anew.
    assert_eq!(store.set(with_id("s1", post("a=b", None, 9_000)), 1_800), Ok("s5".to_owned()));
    assert_eq!(store.states(1_800)[0], ("s1", Expired, 0, 199));
    assert_eq!(store.set(with_id("nope", post("a=b", None, 9_000)), 0), Err("silence not found".to_owned()));
}

#[test]
fn expiring_and_forgetting() {
    let limits = SilenceLimits { retention_ms: 1_000, ..SilenceLimits::default() };
    let mut store = Store::new(limits);
    store.set(post("a=b", None, 500), 0).expect("valid");
    store.set(post("a=b", Some(400), 500), 0).expect("valid");
    assert_eq!(store.0.expire("s1", NOW + 100).map(|s| s.ends_at_ms - NOW), Ok(99));
    assert_eq!(store.0.expire("s1", NOW + 200).map(|s| s.ends_at_ms - NOW), Ok(99));
    assert_eq!(store.0.expire("s2", NOW + 100).map(|s| (s.starts_at_ms - NOW, s.ends_at_ms - NOW)), Ok((99, 99)));
    assert_eq!(store.0.expire("s3", NOW), Err(SilenceError::NotFound));
    assert_eq!(store.0.collect(NOW + 1_098), [""; 0]);
    assert_eq!(store.0.collect(NOW + 1_099), ["s1", "s2"]);
}

#[test]
fn refusals() {
    let mut store = Store::new(SilenceLimits { max_silences: 1, max_size_bytes: 400, ..SilenceLimits::default() });
    let cases = [
        (post("", None, 100), "invalid silence: at least one matcher required"),
        (post("a=\"\"", None, 100), "invalid silence: at least one matcher must not match the empty string"),
        (post("a=~\".*\"", None, 100), "invalid silence: at least one matcher must not match the empty string"),
        (post("a=b", Some(100), 100), "Failed to create silence: start time must be before end time"),
        (post("a=b", Some(-100), -50), "Failed to create silence: end time can't be in the past"),
        (PostableSilence { ends_at_ms: None, ..post("a=b", None, 0) }, "invalid silence: invalid zero end timestamp"),
    ];
    for (silence, want) in cases {
        assert_eq!(store.set(silence.clone(), 0), Err(want.to_owned()), "{silence:?}");
    }
    let large = PostableSilence { comment: "x".repeat(400), ..post("a=b", None, 100) };
    assert!(store.set(large, 0).is_err_and(|e| e.starts_with("silence exceeded maximum size: ")));
    assert!(store.set(post("a!=b", None, 100), 0).is_ok());
    assert_eq!(
        store.set(post("a=b", None, 100), 0),
        Err("exceeded maximum number of silences: 1 (limit: 1)".to_owned())
    );
    // A failed change changes nothing.
    let before = store.states(0).len();
    let large = PostableSilence { comment: "x".repeat(400), ..post("a=other", None, 100) };
    assert!(store.set(with_id("s1", large), 0).is_err());
    assert_eq!((store.states(0).len(), store.states(0)[0].1), (before, SilenceState::Active));
}

#[test]
fn ids_are_uuids() {
    assert_eq!(uuid_v4([0; 16]), "00000000-0000-4000-8000-000000000000");
    assert_eq!(uuid_v4([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
}
