//! Any bytes as a remote-write request of either version.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::remote_write::{Item, Limits, Request, Version};

fuzz_target!(|message: &[u8]| {
    for version in [Version::V1, Version::V2] {
        let Ok(mut request) = Request::new(message, version, Limits::default()) else { continue };
        while let Ok(Some(item)) = request.next_item() {
            let Item::Series(series) = item else { continue };
            let _ = series.labels();
            let mut values = series.values();
            while let Ok(Some(_)) = values.next_value() {}
        }
    }
});
