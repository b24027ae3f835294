//! Embeds the store in a program: opens a directory, writes a few scrapes of two hosts, reads one back, and asks where the series
//! come from. Run it with `cargo run -p foursight-tsdb --example embed`.

use foursight_tsdb::{Db, LabelQuery, Labels, MatchOp, Matcher, Options, SampleColumns, SelectHints, SeriesSource};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let db = Db::open(dir.path(), Options::default())?;

    // A batch is one record of the log: all of it survives, or (before `commit` returns) none.
    let start = 1_700_000_000_000;
    for scrape in 0..240 {
        let mut batch = db.appender()?;
        for host in ["web-1", "web-2"] {
            let requests = batch.resolve(&Labels::from_pairs([("__name__", "requests_total"), ("host", host)]))?;
            batch.append(requests, start + scrape * 15_000, (scrape * 7) as f64)?;
        }
        let report = batch.commit()?;
        assert!(report.refused.is_empty());
    }

    // Reading: matchers and a time range give series, each of which is read as two columns.
    let hints = SelectHints { start_ms: start, end_ms: start + 60_000, ..Default::default() };
    let found = db.select(&[Matcher::new(MatchOp::Regex, "host", "web-.*")?], &hints)?;
    let mut columns = SampleColumns::new();
    for index in 0..found.len() {
        found.read(index, &mut columns)?;
        println!("{}  {:?}", found.labels(index), columns.values);
    }

    let everything = LabelQuery { start_ms: start, end_ms: i64::MAX, ..Default::default() };
    println!("hosts: {:?}", db.label_values("host", &everything)?);

    // The owner keeps the time: about once a second, whatever is due is done here.
    let done = db.maintain(start + 3_600_000)?;
    let usage = db.head_usage();
    println!(
        "blocks written: {}; {} samples in {} bytes of chunks",
        done.written.len(),
        usage.samples,
        usage.sample_bytes
    );
    db.close()?;
    Ok(())
}
