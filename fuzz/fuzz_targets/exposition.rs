//! Any bytes as a page of metrics in every format; a right guess of the next series changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::exposition::protobuf::Families;
use wire::exposition::{Event, Parser, TextFormat, lint};

fuzz_target!(|page: &[u8]| {
    for format in [TextFormat::Prometheus, TextFormat::OpenMetrics] {
        let mut parser = Parser::new(page, format);
        let mut raws: Vec<Vec<u8>> = Vec::new();
        let mut values = Vec::new();
        while let Ok(Some(event)) = parser.next_event() {
            if let Event::Series(series) = event {
                let _ = series.to_labels(true);
                raws.push(series.raw.to_vec());
                values.push(series.value.to_bits());
            }
        }
        let mut hinted = Parser::new(page, format);
        let mut at = 0;
        while let Ok(Some(event)) = hinted.next_event_hinted(raws.get(at).map_or(&[], Vec::as_slice)) {
            if let Event::Series(series) = event {
                assert_eq!((series.raw, series.value.to_bits()), (raws[at].as_slice(), values[at]));
                at += 1;
            }
        }
        assert_eq!(at, raws.len());
        let _ = lint::style(page, format);
    }
    for family in Families::new(page) {
        let Ok(family) = family else { break };
        for metric in family.metrics() {
            if metric.is_err() {
                break;
            }
        }
    }
});
