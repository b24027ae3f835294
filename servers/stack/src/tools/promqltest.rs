//! `tool promqltest FILE…`: one line a file, the failures beneath it, and at the end `N passed, M failed`.

use std::process::ExitCode;

use promql::promqltest;

pub(super) fn run(files: &[&str]) -> ExitCode {
    let engine = promqltest::engine();
    let (mut passed, mut failed) = (0, 0);
    for name in files {
        let text = match std::fs::read_to_string(name) {
            Ok(text) => text,
            Err(e) => {
                println!("{name}: {e}");
                failed += 1;
                continue;
            }
        };
        match promqltest::run(&text, &engine) {
            Ok(report) => {
                println!("{name}: {}/{}", report.passed, report.total());
                for failure in &report.failures {
                    println!("  {name}:{}: {}\n    {}", failure.line, failure.query, failure.message);
                }
                passed += report.passed;
                failed += report.failures.len();
            }
            Err(e) => {
                println!("{name}: {e}");
                failed += 1;
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
