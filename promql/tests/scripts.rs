//! Scripts and series notation that have gone wrong are refused, never a panic.

use foursight_promql::promqltest::{engine, parse_series, parse_values, run};
use proptest::prelude::*;

const SCRIPT: &str = r#"
load 5m
  requests_total{job="api", group="canary"} 0+10x10 100 _x3 stale
  h{le="+Inf"} 1 2 -3 NaN Inf
  nh {{schema:1 count:12 sum:30.5 z_bucket:2 z_bucket_w:0.5 buckets:[1 2 3] offset:-1 n_buckets:[4] counter_reset_hint:gauge}}x3
  custom {{schema:-53 custom_values:[1 5] buckets:[1 2 3]}}+{{schema:-53 custom_values:[1 5] buckets:[1 0 1]}}x4

eval instant at 50m sum by (group) (rate(requests_total[50m] offset 5m))
  {group="canary"} 0.03

eval range from 0 to 20m step 5m histogram_quantile(0.5, nh) > bool 1
  expect no_warn
  expect ordered
  {} 1 1 1 _

eval_with_nhcb instant at 10m {__name__=~"h|custom", "utf-8 name"=""}
  expect fail regex: .*parse.*

clear
"#;

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_scripts_do_not_panic(
        from in 0usize..20,
        lines in 1usize..26,
        changes in prop::collection::vec((any::<prop::sample::Index>(), "[ {}()\\[\\]:\"'~@_x+.,\n\u{0}é<>=-]{0,3}", 0usize..4), 0..4),
    ) {
        let mut text: String = SCRIPT.lines().skip(from).take(lines).map(|l| format!("{l}\n")).collect();
        for (at, new, removed) in changes {
            let mut at = at.index(text.len() + 1);
            let mut end = (at + removed).min(text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            while !text.is_char_boundary(end) {
                end += 1;
            }
            text.replace_range(at..end, &new);
        }
        let _ = run(&text, &engine());
    }

    #[test]
    fn any_text_is_a_series_or_refused(text in "\\PC{0,40}", values in "[0-9a-z {}\\[\\]:_+.x-]{0,20}") {
        let _ = parse_series(&text);
        let _ = run(&text, &engine());
        // Long runs are legal and take memory: not the point here.
        prop_assume!(!values.contains('x'));
        let _ = parse_values(&values);
    }
}
