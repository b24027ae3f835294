//! A query of entries that come in one by one: live tails.

use model::{Labels, LogColumns};

use crate::engine::QueryError;
use crate::logs::{Entry, Ordered};
use crate::pipeline::compile::{Compiled, compile};
use crate::pipeline::label_sets::LabelSets;
use crate::syntax::ast::LogExpr;

/// Most bytes of label sets that are remembered.
const MAX_SETS_BYTES: usize = 8 << 20;
/// Most bytes that `| distinct` and `| dedup` remember; after that they begin anew.
const MAX_ORDERED_BYTES: usize = 32 << 20;

/// A compiled query of entries that is applied to each entry when it is pushed.
///
/// ```
/// use foursight_logql::ast::Expr;
/// use foursight_logql::{ParseOptions, Tail, parse};
/// use model::{Labels, LogColumns};
///
/// let Expr::Log(expr) = parse(r#"{job="api"} |= "failed" | logfmt"#, ParseOptions::default())? else { unreachable!() };
/// let mut tail = Tail::new(&expr, false, 0)?;
/// let stream = Labels::from_pairs([("job", "api")]);
/// assert!(tail.selects(&stream));
/// let mut pushed = LogColumns::new();
/// pushed.push(1, "msg=failed user=kim", []);
/// pushed.push(2, "msg=done user=kim", []);
/// let mut found = Vec::new();
/// tail.push(&stream, &pushed, |entry| found.push(entry));
/// assert_eq!(found.len(), 1);
/// assert_eq!(found[0].labels.all.get("user"), Some("kim"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Tail {
    expr: LogExpr,
    compiled: Compiled,
    sets: LabelSets,
    ordered: Ordered,
    bound: Option<Labels>,
    rows: Vec<u32>,
}

impl Tail {
    /// Compiles a query. With `categorize` the labels of entries are also kept by where they come from. In templates it is
    /// `now_ns`, in nanoseconds since the epoch, until [`Self::set_now`] moves it on.
    ///
    /// # Errors
    /// When a stage cannot be compiled.
    pub fn new(expr: &LogExpr, categorize: bool, now_ns: i64) -> Result<Self, QueryError> {
        let now = jiff::Timestamp::from_nanosecond(i128::from(now_ns)).unwrap_or_default();
        let compiled = compile(&expr.stages, None, now)?;
        let ordered = Ordered::new(compiled.ordered.clone());
        let sets = LabelSets::new(categorize);
        Ok(Self { expr: expr.clone(), compiled, sets, ordered, bound: None, rows: Vec::new() })
    }

    /// Sets what `now` gives in templates.
    pub fn set_now(&mut self, now_ns: i64) {
        let now = jiff::Timestamp::from_nanosecond(i128::from(now_ns)).unwrap_or_default();
        for stage in &mut self.compiled.pipeline.stages {
            stage.set_now(now);
        }
    }

    /// Whether entries of a stream are asked for.
    pub fn selects(&self, stream: &Labels) -> bool {
        self.expr.selector.matchers.iter().all(|matcher| matcher.matches_labels(stream))
    }

    /// Applies the query to entries of a stream that it selects, oldest first, and hands on those that pass, in order.
    pub fn push(&mut self, stream: &Labels, entries: &LogColumns, mut sink: impl FnMut(Entry)) {
        if self.bound.as_ref() != Some(stream) {
            self.compiled.pipeline.bind(stream);
            self.bound = Some(stream.clone());
        }
        if self.sets.bytes() > MAX_SETS_BYTES {
            self.sets.clear();
        }
        if self.ordered.bytes() > MAX_ORDERED_BYTES {
            self.ordered = Ordered::new(self.compiled.ordered.clone());
        }
        let mut rows = std::mem::take(&mut self.rows);
        self.compiled.rows(entries, &mut rows);
        for row in &rows {
            if !self.compiled.run(entries, *row) {
                continue;
            }
            let pipeline = &self.compiled.pipeline;
            let id = self.sets.find(pipeline, &entries.text, |_| true);
            let entry = Entry {
                timestamp_ns: pipeline.state.timestamp_ns,
                line: pipeline.state.line(&entries.text).into(),
                labels: self.sets.labels(id).clone(),
            };
            if self.ordered.is_first(&entry) {
                sink(entry);
            }
        }
        self.rows = rows;
    }
}

impl std::fmt::Debug for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tail").field("expr", &self.expr.to_string()).finish_non_exhaustive()
    }
}
