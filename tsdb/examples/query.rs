//! Store and language together, in ten lines: open, write, ask in PromQL, print.
//! Run it with `cargo run -p foursight-tsdb --example query`.

use foursight_tsdb::{Db, Labels, Options};
use promql::{Engine, QueryContext, TimeParams, Value};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let db = Db::open(dir.path(), Options::default())?;
    let mut batch = db.appender()?;
    let requests = batch.resolve(&Labels::from_pairs([("__name__", "requests_total"), ("host", "web")]))?;
    for scrape in 0..20 {
        batch.append(requests, 1_700_000_000_000 + scrape * 15_000, (scrape * 30) as f64)?;
    }
    batch.commit()?;

    let at = TimeParams::Instant(1_700_000_285_000);
    let output =
        Engine::default().query("sum by (host) (rate(requests_total[1m]))", &db, at, &QueryContext::default())?;
    let Value::Vector { samples, .. } = output.value else { return Err("not a vector".into()) };
    for sample in samples {
        println!("{} {:?}", sample.labels, sample.value);
    }
    db.close()?;
    Ok(())
}
