//! The test scripts of Prometheus, all of them: every evaluation gives the expected result, annotations and errors.
//!
//! The scripts lie in the folder named by `FOURSIGHT_CONFORMANCE`, else in `../shared/conformance` beside the workspace.
//! Without them there is nothing to compare with, and the test says so.

use std::path::PathBuf;

use foursight_promql::promqltest;

fn scripts() -> Option<PathBuf> {
    let root = match std::env::var_os("FOURSIGHT_CONFORMANCE") {
        Some(root) => PathBuf::from(root),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance"),
    };
    let folder = root.join("promql");
    folder.is_dir().then_some(folder)
}

#[test]
fn all_scripts_pass() {
    let Some(folder) = scripts() else {
        println!("conformance data is absent: set FOURSIGHT_CONFORMANCE");
        return;
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("the folder can be listed")
        .map(|entry| entry.expect("its entries can be read").path())
        .filter(|path| path.extension().is_some_and(|e| e == "test"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} has no scripts", folder.display());
    let engine = promqltest::engine();
    let (mut passed, mut failed) = (0, 0);
    for file in files {
        let name = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let text = std::fs::read_to_string(&file).expect("a script can be read");
        let report = promqltest::run(&text, &engine).unwrap_or_else(|e| panic!("{name}: {e}"));
        println!("{name} {}/{}", report.passed, report.total());
        for failure in &report.failures {
            println!("  line {}: {}: {}", failure.line, failure.query, failure.message);
        }
        passed += report.passed;
        failed += report.failures.len();
    }
    println!("{passed} passed, {failed} failed");
    assert_eq!(failed, 0, "of {} evaluations", passed + failed);
}
