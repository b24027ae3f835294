//! What a delete request means: a LogQL query of entries, read for the store.

use std::sync::Arc;

use logql::ast::{Expr, LogExpr};
use logql::{LogParams, ParseOptions, QueryContext};
use logstore::{DeleteFilter, DeleteReader, EntryFilter};
use model::{Direction, Labels, LogColumns};

use crate::tail::{Pushed, PushedSource};

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
    let entries = (!expr.stages.is_empty()).then(|| filter(expr));
    Ok(DeleteFilter { matchers, entries })
}

/// Whether the pipeline lets an entry pass.
fn filter(expr: LogExpr) -> EntryFilter {
    Arc::new(move |labels: &Labels, entries: &LogColumns, row: usize| {
        let timestamp_ns = entries.timestamps[row];
        let mut one = LogColumns::new();
        one.push(timestamp_ns, entries.line(row), entries.metadata(row));
        let source = PushedSource(vec![Pushed::new(labels.clone(), one)]);
        let params = LogParams {
            start_ns: timestamp_ns,
            end_ns: timestamp_ns.saturating_add(1),
            direction: Direction::Forward,
            limit: 1,
            interval_ns: 0,
            categorize: false,
            after: None,
        };
        let mut passes = false;
        // A query that could not be evaluated deletes nothing.
        let _ = logql::for_each_entry(&source, &expr, &params, &QueryContext::at(timestamp_ns), |_, _| {
            passes = true;
            std::ops::ControlFlow::Break(())
        });
        passes
    })
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
