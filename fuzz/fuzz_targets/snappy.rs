//! Any bytes as compressed bodies: never more than the limit comes out.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    const LIMIT: usize = 1 << 20;
    for result in [
        wire::compress::snappy_decode(bytes, LIMIT),
        wire::compress::gzip_decode(bytes, LIMIT),
        wire::compress::deflate_decode(bytes, LIMIT),
    ] {
        assert!(result.map_or(0, |out| out.len()) <= LIMIT);
    }
    let packed = wire::compress::snappy_encode(bytes);
    assert_eq!(wire::compress::snappy_decode(&packed, bytes.len()).ok().as_deref(), Some(bytes));
});
