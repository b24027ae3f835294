//! The exposition corpora: what a real scraper accepts and stores, and what the specification forbids.
//!
//! The data is found by `FOURSIGHT_CONFORMANCE`, else `../shared/conformance` beside the workspace; without it the tests
//! pass and say so.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use foursight_wire::exposition::{Event, Parser, TextFormat, lint};

fn corpus() -> Option<PathBuf> {
    let root = std::env::var_os("FOURSIGHT_CONFORMANCE")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"));
    let folder = root.join("exposition");
    if !folder.is_dir() {
        eprintln!("no conformance data at {}: nothing is checked", folder.display());
        return None;
    }
    Some(folder)
}

type Labels = BTreeMap<String, String>;

fn scrape(page: &[u8], format: TextFormat) -> Result<Vec<(Labels, f64)>, String> {
    let mut parser = Parser::new(page, format);
    let mut out = Vec::new();
    while let Some(event) = parser.next_event().map_err(|e| e.to_string())? {
        if let Event::Series(series) = event {
            let labels = series.to_labels(false).map_err(|e| e.to_string())?;
            out.push((labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(), series.value));
        }
    }
    Ok(out)
}

#[test]
fn openmetrics_cases() {
    let Some(folder) = corpus() else { return };
    let text = fs::read_to_string(folder.join("openmetrics-observed.json")).unwrap();
    let cases: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let mut wrong = Vec::new();
    for case in &cases {
        let name = case["case"].as_str().unwrap();
        let page = fs::read(folder.join("openmetrics").join(name).join("metrics")).unwrap();
        let scraped = scrape(&page, TextFormat::OpenMetrics);
        if scraped.is_ok() != case["scrape_accepts_2_42"].as_bool().unwrap() {
            wrong.push(format!("{name}: scrape says {scraped:?}, wanted {}", case["error_2_42"]));
        }
        let strict = lint::check(&page, TextFormat::OpenMetrics);
        if strict.is_ok() != case["should_parse"].as_bool().unwrap() {
            wrong.push(format!("{name}: lint says {strict:?}"));
        }
        let Ok(scraped) = scraped else { continue };
        for stored in case["series"].as_array().into_iter().flatten() {
            let labels: Labels = stored[0]
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| {
                    (name.trim_start_matches("exported_").to_owned(), value.as_str().unwrap().to_owned())
                })
                .collect();
            let value = stored[1].as_str().unwrap();
            let value: f64 = value.parse().unwrap();
            let same = |got: f64| got == value || (got.is_nan() && value.is_nan());
            if !scraped.iter().any(|(l, v)| *l == labels && same(*v)) {
                wrong.push(format!("{name}: {labels:?} {value} is missing in {scraped:?}"));
            }
        }
    }
    assert!(cases.len() > 200);
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn large_pages_parse_whole() {
    let Some(folder) = corpus() else { return };
    let pages = [
        ("alltypes.237mfs.prom.txt", TextFormat::Prometheus),
        ("alltypes.237mfs.nometa.prom.txt", TextFormat::Prometheus),
        ("metrics-test.prom", TextFormat::Prometheus),
        ("alltypes.5mfs.om.txt", TextFormat::OpenMetrics),
        ("1histogram.om.txt", TextFormat::OpenMetrics),
    ];
    for (name, format) in pages {
        let page = fs::read_to_string(folder.join(name)).unwrap();
        let lines: Vec<_> = page.lines().filter(|line| !line.trim().is_empty()).collect();
        let page =
            if page.ends_with('\n') || format == TextFormat::OpenMetrics { page.clone() } else { format!("{page}\n") };
        let (mut samples, mut metadata) = (0, 0);
        let mut parser = Parser::new(page.as_bytes(), format);
        while let Some(event) = parser.next_event().unwrap_or_else(|e| panic!("{name}: {e}")) {
            match event {
                Event::Series(_) => samples += 1,
                Event::Type { .. } | Event::Help { .. } | Event::Unit { .. } => metadata += 1,
                Event::Comment => {}
            }
        }
        let want = lines.iter().filter(|line| !line.starts_with('#')).count();
        let want_metadata = lines
            .iter()
            .filter(|line| ["# HELP ", "# TYPE ", "# UNIT "].iter().any(|start| line.starts_with(start)))
            .count();
        assert_eq!((samples, metadata), (want, want_metadata), "{name}");
    }
}
