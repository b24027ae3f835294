//! A data source of one's own behind the evaluator: parse a query, look at its plan, run it.
//!
//! `cargo run -p foursight-promql --example own_source`

use foursight_promql::{Engine, EngineOptions, QueryContext, TimeParams, Value, parse, pretty};
use model::{LabelQuery, Labels, Matcher, SampleColumns, SelectHints, Selection, SeriesSource, SourceError};

/// Tides at two ports, worked out when they are asked for: nothing is stored.
struct Tides;

const PORTS: [(&str, f64); 2] = [("brest", 6.1), ("cuxhaven", 3.3)];

impl SeriesSource for Tides {
    // A source gets the matchers and a hint of the times that matter. Giving more samples than hinted is fine.
    fn select<'a>(&'a self, matchers: &[Matcher], hints: &SelectHints) -> Result<Box<dyn Selection + 'a>, SourceError> {
        let labels = |port: &str| Labels::from_pairs([("__name__", "tide_metres"), ("port", port)]);
        let all = PORTS.iter().map(|(port, range)| (labels(port), *range));
        let series = all.filter(|(labels, _)| matchers.iter().all(|m| m.matches_labels(labels))).collect();
        Ok(Box::new(Found { series, from_ms: hints.start_ms, to_ms: hints.end_ms }))
    }

    fn label_names(&self, _: &LabelQuery) -> Result<Vec<String>, SourceError> {
        Ok(vec!["__name__".to_owned(), "port".to_owned()])
    }

    fn label_values(&self, _: &str, _: &LabelQuery) -> Result<Vec<String>, SourceError> {
        Ok(PORTS.iter().map(|(port, _)| (*port).to_owned()).collect())
    }
}

struct Found {
    series: Vec<(Labels, f64)>,
    from_ms: i64,
    to_ms: i64,
}

impl Selection for Found {
    fn len(&self) -> usize {
        self.series.len()
    }

    fn labels(&self, index: usize) -> Labels {
        self.series[index].0.clone()
    }

    // A series is read as two columns, times and values.
    fn read(&self, index: usize, out: &mut SampleColumns) -> Result<(), SourceError> {
        out.clear();
        for minute in self.from_ms.div_euclid(60_000)..=self.to_ms.div_euclid(60_000) {
            let hours = minute as f64 / 60.0;
            out.push(minute * 60_000, self.series[index].1 / 2.0 * (hours * std::f64::consts::TAU / 12.42).sin());
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::new(EngineOptions::default());
    let query = r#"max_over_time(tide_metres[13h]) - min_over_time(tide_metres[13h]) > on () group_left 2 * tide_metres{port="brest"}"#;
    let expr = parse(query, &engine.options().parser)?;
    println!("{}\n", pretty(&expr));

    let times = TimeParams::Instant(1_700_000_000_000);
    let context = QueryContext::default();
    println!("{}", engine.explain(query, times, &context)?);

    let analysis = engine.explain_analyze(query, &Tides, times, &context)?;
    println!("{}", analysis.text);
    let Value::Vector { samples, .. } = analysis.output.value else { unreachable!("the query gives a vector") };
    for sample in samples {
        println!("{} {:?}", sample.labels, sample.value);
    }
    Ok(())
}
