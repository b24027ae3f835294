//! What a delete request means: a LogQL query of entries, read for the store.

use std::sync::Arc;

use logql::ast::{Expr, LogExpr};
use logql::{ParseOptions, Tail};
use logstore::{DeleteFilter, DeleteReader, EntryFilter};
use model::{Labels, LogColumns};
use parking_lot::Mutex;

/// Reads the texts of delete requests.
pub(crate) fn reader() -> DeleteReader {
    DeleteReader::new(read)
}

/// # Errors
/// When the text is no query of entries.
pub(crate) fn read(text: &str) -> Result<DeleteFilter, String> {
    let expr = match logql::parse(text, ParseOptions::default()) {
        Ok(Expr::Log(expr)) => expr,
        Ok(Expr::Metric(_)) => return Err("only log selector is supported".to_owned()),
        Err(e) => return Err(e.to_string()),
    };
    let matchers = expr.selector.matchers.clone();
    let entries = if expr.stages.is_empty() { None } else { Some(filter(expr)?) };
    Ok(DeleteFilter { matchers, entries })
}

/// Whether the pipeline lets an entry pass. Compiled pipelines are kept, one for each thread that asks at a time.
fn filter(expr: LogExpr) -> Result<EntryFilter, String> {
    let compile = move || Tail::new(&expr, false, 0);
    let idle = Mutex::new(vec![compile().map_err(|e| e.to_string())?]);
    Ok(Arc::new(move |labels: &Labels, entries: &LogColumns, row: usize| {
        let kept = idle.lock().pop();
        // What was compiled once can be compiled again; if it could not be, nothing is deleted.
        let Some(mut tail) = kept.or_else(|| compile().ok()) else { return false };
        let mut one = LogColumns::new();
        one.push(entries.timestamps[row], entries.line(row), entries.metadata(row));
        let mut passes = false;
        tail.push(labels, &one, |_| passes = true);
        idle.lock().push(tail);
        passes
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_which_entries() {
        assert!(read("rate({a=\"b\"}[1m])").is_err() && read("{a=").is_err());
        assert!(read(r#"{a="b"}"#).unwrap().entries.is_none());
        let entries = read(r#"{a="b"} |= "secret" | user="kim""#).unwrap().entries.unwrap();
        let labels = Labels::from_pairs([("a", "b")]);
        let mut columns = LogColumns::new();
        columns.push(1, "a secret", [("user", "kim")]);
        columns.push(2, "a secret", [("user", "lee")]);
        columns.push(3, "nothing", [("user", "kim")]);
        assert_eq!([0, 1, 2].map(|row| entries(&labels, &columns, row)), [true, false, false]);
    }
}
