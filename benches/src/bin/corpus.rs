//! Writes the corpus of logs to a file, or measures how its kinds compress.

use std::io::Write;

use foursight_benches::logs::{Batch, Corpus};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let megabytes: u64 = arguments.next().and_then(|a| a.parse().ok()).unwrap_or(64);
    let mut corpus = Corpus::new(1, megabytes << 20);
    let mut batch = Batch::default();
    let mut of_kind: [Vec<u8>; 4] = Default::default();
    while corpus.next_batch(&mut batch) {
        for stream in &batch.streams {
            let out = &mut of_kind[corpus.kind(stream.stream) as usize];
            for (_, start, end) in &stream.entries {
                out.extend_from_slice(&batch.text.as_bytes()[*start..*end]);
                out.push(b'\n');
            }
        }
    }
    println!("{:?}", corpus.truth());
    for (kind, text) in of_kind.iter().enumerate() {
        let mut compressed = 0;
        for block in text.chunks(1 << 20) {
            compressed += zstd::bulk::compress(block, 3).map_or(0, |c| c.len());
        }
        println!("kind {kind}: {} bytes, zstd 3 in blocks of 1 MiB: {:.2}", text.len(), text.len() as f64 / compressed as f64);
    }
    if let Some(path) = arguments.next() {
        let mut file = std::fs::File::create(path).expect("the file can be made");
        for text in &of_kind {
            file.write_all(text).expect("the file can be written");
        }
    }
}
