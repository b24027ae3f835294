//! Random timelines: what must hold whatever happens when.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::sim::{self, Delivery, Sim};
use crate::notify::request::{HttpResponse, Outcome};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const WAIT_S: i64 = 10;
const INTERVAL_S: i64 = 60;
const REPEAT_S: i64 = 300;

#[derive(Clone, Debug)]
enum Op {
    /// Begins to fire, and goes on until it is resolved.
    Fire(usize),
    /// Fires and is not heard of again.
    Blink(usize),
    Resolve(usize),
    Silence(usize, i64),
    Checkpoint,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..4usize).prop_map(Op::Fire),
        1 => (0..4usize).prop_map(Op::Blink),
        3 => (0..4usize).prop_map(Op::Resolve),
        1 => (0..4usize, 5..400i64).prop_map(|(name, length)| Op::Silence(name, length)),
        1 => Just(Op::Checkpoint),
    ]
}

fn timeline() -> impl Strategy<Value = Vec<(i64, Op)>> {
    proptest::collection::vec((0..200i64, op()), 1..12)
}

/// One route for all, one that groups by name; `a` inhibits `b`.
fn config(by_name: bool) -> Value {
    let mut route = json!({ "group_wait": "10s", "group_interval": "1m", "repeat_interval": "5m" });
    if by_name {
        route["group_by"] = json!(["alertname"]);
    }
    sim::config(json!({
        "route": route,
        "second": true,
        "inhibit": [{ "source_matchers": ["alertname=a"], "target_matchers": ["alertname=b"] }],
    }))
}

/// What is true of an alert, second by second.
#[derive(Clone, Default)]
struct Truth {
    firing: Vec<(i64, i64)>,
    silenced: Vec<(i64, i64)>,
}

impl Truth {
    fn holds(spans: &[(i64, i64)], at_ms: i64) -> bool {
        spans.iter().any(|(from, to)| (*from..=*to).contains(&at_ms))
    }
}

/// Plays a timeline and says what was true when.
fn play(sim: &mut Sim, timeline: &[(i64, Op)]) -> Vec<Truth> {
    let mut truths = vec![Truth::default(); NAMES.len()];
    let mut since: Vec<Option<i64>> = vec![None; NAMES.len()];
    let mut second = 0;
    for (wait, op) in timeline {
        second += wait;
        sim.run_to(second);
        let now_ms = second * 1000;
        match op {
            Op::Fire(i) => {
                sim.fire(NAMES[*i]).keep(NAMES[*i]);
                since[*i].get_or_insert(now_ms);
            }
            Op::Blink(i) => {
                sim.fire(NAMES[*i]);
                if since[*i].is_none() {
                    truths[*i].firing.push((now_ms, now_ms + 240_000));
                }
            }
            Op::Resolve(i) => {
                sim.resolve(NAMES[*i]);
                for (_, to_ms) in &mut truths[*i].firing {
                    *to_ms = now_ms.min(*to_ms);
                }
                if let Some(from_ms) = since[*i].take() {
                    truths[*i].firing.push((from_ms, now_ms));
                }
            }
            Op::Silence(i, length) => {
                sim.silence(NAMES[*i], second, second + length);
                truths[*i].silenced.push((now_ms, now_ms + length * 1000));
            }
            Op::Checkpoint => sim.checkpoint(),
        }
    }
    second += 1000;
    sim.run_to(second);
    for (truth, since) in truths.iter_mut().zip(since) {
        truth.firing.extend(since.map(|from_ms| (from_ms, second * 1000)));
    }
    truths
}

/// No receiver hears the same twice before the repeat interval has passed.
fn nobody_hears_twice(deliveries: &[Delivery]) -> Result<(), TestCaseError> {
    for (i, later) in deliveries.iter().enumerate() {
        let same = |d: &&Delivery| d.group_key == later.group_key && d.index == later.index;
        let Some(earlier) = deliveries[..i].iter().rev().find(same) else { continue };
        if earlier.firing == later.firing && earlier.resolved == later.resolved {
            prop_assert!(later.at_ms - earlier.at_ms > REPEAT_S * 1000, "{earlier} then {later}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// However often it is restarted, it sends what it would have sent, when it would have.
    #[test]
    fn restarts_change_nothing(timeline in timeline(), by_name: bool) {
        let mut plain = Sim::new(&config(by_name));
        play(&mut plain, &timeline);
        let mut restless = Sim::new(&config(by_name));
        restless.restless = true;
        play(&mut restless, &timeline);
        let texts = |sim: &Sim| {
            let mut texts: Vec<_> = sim.deliveries.iter().map(|d| (d.at_ms, d.group_key.clone(), d.index, d.to_string())).collect();
            texts.sort();
            texts
        };
        prop_assert_eq!(texts(&plain), texts(&restless));
        nobody_hears_twice(&restless.deliveries)?;
    }

    /// Silenced and inhibited alerts are not sent as firing, nor is anything that does not fire.
    #[test]
    fn only_what_is_to_be_sent_is_sent(timeline in timeline(), by_name: bool) {
        let mut sim = Sim::new(&config(by_name));
        let truths = play(&mut sim, &timeline);
        for delivery in &sim.deliveries {
            for name in &delivery.firing {
                let truth = &truths[NAMES.iter().position(|known| known == name).expect("a name")];
                // Heard of again every minute, an alert may outlive its last word by the four minutes it has.
                let recently = (0..=240).any(|ago| Truth::holds(&truth.firing, delivery.at_ms - ago * 1000));
                prop_assert!(recently, "{delivery}");
                let silenced = Truth::holds(&truth.silenced, delivery.at_ms);
                prop_assert!(!silenced, "{delivery}");
                let inhibited = name == "b" && truths[0].firing.iter().any(|(from, to)| (*from..*to).contains(&delivery.at_ms));
                prop_assert!(!inhibited, "{delivery}");
            }
        }
    }

    /// An alert that fires on is told of soon, and again after every repeat interval.
    #[test]
    fn firing_alerts_are_told_of(timeline in timeline(), by_name: bool) {
        let mut sim = Sim::new(&config(by_name));
        let truths = play(&mut sim, &timeline);
        for (i, truth) in truths.iter().enumerate() {
            let held_back = |from: i64, to: i64| {
                let quiet = truth.silenced.iter().any(|(start, end)| *start <= to && from <= *end);
                quiet || (i == 1 && truths[0].firing.iter().any(|(start, end)| *start <= to && from <= *end))
            };
            let soon_ms = (WAIT_S + INTERVAL_S) * 1000;
            let again_ms = (REPEAT_S + INTERVAL_S) * 1000;
            for (from, to) in &truth.firing {
                let times: Vec<i64> = sim.deliveries.iter()
                    .filter(|d| d.index == 0 && d.firing.iter().any(|name| name == NAMES[i]))
                    .map(|d| d.at_ms)
                    .collect();
                let told = |from: i64, to: i64| times.iter().any(|at| (from..=to).contains(at));
                if from + soon_ms <= *to && !held_back(*from, from + soon_ms) {
                    // Or the receiver has not forgotten that it fired before.
                    prop_assert!(told(from - again_ms, from + soon_ms), "{} from {from}: {times:?}", NAMES[i]);
                }
                let mut at = from + soon_ms;
                while at + again_ms <= *to {
                    if !held_back(*from, at + again_ms) {
                        prop_assert!(told(at, at + again_ms), "{} in {at}..: {times:?}", NAMES[i]);
                    }
                    at += INTERVAL_S * 1000;
                }
            }
        }
    }

    /// With receivers that fail now and then, still nobody hears the same twice.
    #[test]
    fn failures_do_not_repeat_what_arrived(timeline in timeline(), seed: u32) {
        let mut sim = Sim::new(&config(false));
        let count = std::cell::Cell::new(seed);
        sim.outcomes_by = Some(Box::new(move |_, _| {
            count.set(count.get().wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
            match count.get() >> 29 {
                0 | 1 => Outcome::Timeout,
                2 => Outcome::Http(vec![HttpResponse::new(503, "")]),
                3 => Outcome::Http(vec![HttpResponse::new(404, "")]),
                _ => Outcome::Http(vec![HttpResponse::new(200, "")]),
            }
        }));
        play(&mut sim, &timeline);
        nobody_hears_twice(&sim.deliveries)?;
    }
}
