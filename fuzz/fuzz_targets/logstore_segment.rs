//! A log store whose segments were damaged behind the back of their checksums (which a fuzzing build doesn't hold against them): whatever
//! columns, dictionaries and directories say, a query ends with lines or with an error.
#![no_main]

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use disk::{MemFiles, PowerLoss};
use foursight_fuzz::{Change, damaged, files_below};
use libfuzzer_sys::fuzz_target;
use logql::{Engine, QueryContext, Request};
use logstore::{Db, Options, PushEntry, PushStream, StreamKey};
use model::Labels;

const START: i64 = 1_700_000_000_000_000_000;

fn written() -> &'static (MemFiles, Vec<PathBuf>) {
    static FILES: OnceLock<(MemFiles, Vec<PathBuf>)> = OnceLock::new();
    FILES.get_or_init(|| {
        let files = MemFiles::new();
        let db = Db::open_with(Arc::new(files.clone()), "data", Options::default()).expect("a new store");
        for stream in 0..3 {
            let labels = Labels::from_pairs([("job", "titan"), ("stream", &stream.to_string())]);
            let lines: Vec<String> = (0..600u64)
                .map(|i| {
                    let id = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                    match stream {
                        0 => format!("level=info msg=order id={i} trace={id:016x} took={}ms", i % 50),
                        1 => format!(
                            "{{\"level\":\"error\",\"status\":{},\"path\":\"/api/{}\",\"id\":\"{id:x}\"}}",
                            200 + i % 5,
                            i % 9
                        ),
                        _ => format!("{}é line without form {}", i % 3, "x".repeat((id % 40) as usize)),
                    }
                })
                .collect();
            let metadata = [("trace_id", "abc")];
            let entries: Vec<PushEntry<'_>> = (0..)
                .zip(&lines)
                .map(|(at, line)| PushEntry { timestamp_ns: START + at * 1_000_000_000, line, metadata: &metadata })
                .collect();
            db.push(&[PushStream { key: StreamKey::Labels(&labels), entries: &entries }], START).expect("memory");
        }
        db.flush().expect("memory");
        db.close().expect("memory");
        let image = files.power_loss(PowerLoss::Nothing);
        let paths = files_below(&image, "segments");
        (image, paths)
    })
}

fuzz_target!(|changes: Vec<Change>| {
    let (image, paths) = written();
    let files = damaged(image, paths, changes);
    let Ok(db) = Db::open_with(Arc::new(files), "data", Options::default()) else { return };
    let engine = Engine::default();
    let request = Request::range(START, START + 1_000_000_000_000, 60_000_000_000);
    for text in [
        r#"{job="titan"}"#,
        r#"{stream=~"[01]"} |= "order" != "id=7""#,
        r#"{job="titan"} |~ "(?i)ERROR" | json | status >= 203"#,
        r#"{stream="0"} | logfmt | took > 20ms"#,
        r#"sum by (stream) (count_over_time({job="titan"}[1m]))"#,
    ] {
        let query = logql::parse(text, Default::default()).expect("a good query");
        let _ = engine.query(&db, &query, &request, &QueryContext::at(START + 1_000_000_000_000));
    }
});
