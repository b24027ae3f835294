//! The one system call that no safe crate here wraps.

#![allow(unsafe_code)]

/// The kernel clock's state: the call's return value (5 says "not synchronized") and its record. Reads only.
///
/// # Errors
/// What the system says; containers may forbid the call.
pub(super) fn read() -> std::io::Result<(i32, libc::timex)> {
    // SAFETY: `timex` is a plain record of integers for which all zero bits are valid; `modes` 0 asks the kernel to fill
    // the record and change nothing; the pointer is to a live, exclusively borrowed record of the right type.
    let (state, record) = unsafe {
        let mut record: libc::timex = std::mem::zeroed();
        let state = libc::adjtimex(&raw mut record);
        (state, record)
    };
    if state < 0 { Err(std::io::Error::last_os_error()) } else { Ok((state, record)) }
}
