//! Fields of lines: structured metadata, what the query's parsers make, and what a JSON or logfmt parser finds.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use model::number::{parse_float, parse_int};
use model::{Direction, Labels, LogColumns, LogSource};

use crate::engine::{QueryContext, QueryError, Value};
use crate::logs::{Entry, LogParams, StreamEntries};
use crate::pipeline::Pipeline;
use crate::pipeline::label_sets::Categories;
use crate::pipeline::names::SPECIAL;
use crate::pipeline::stages::Stage;
use crate::pipeline::stages::json::JsonStage;
use crate::pipeline::stages::logfmt::LogfmtStage;
use crate::pipeline::state::Whose;
use crate::syntax::ast::{LogExpr, LogfmtFlags};
use crate::units::bytes::{BytesText, parse_bytes};
use crate::units::duration::parse_go;

/// Which entries to look at for fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldsRequest {
    /// Start of the time range in ns, inclusive.
    pub start_ns: i64,
    /// End of the time range in ns, exclusive.
    pub end_ns: i64,
    /// Most entries to look at, the newest ones.
    pub line_limit: usize,
    /// Most fields, or values.
    pub limit: usize,
}

/// What the values of a field look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldType {
    /// Anything.
    #[default]
    String,
    /// Whole numbers.
    Int,
    /// Numbers.
    Float,
    /// Yes or no.
    Boolean,
    /// Lengths of time.
    Duration,
    /// Byte sizes.
    Bytes,
}

impl FieldType {
    /// The word for it in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Int => "int",
            Self::Float => "float",
            Self::Boolean => "boolean",
            Self::Duration => "duration",
            Self::Bytes => "bytes",
        }
    }

    /// What a value looks like.
    pub fn of(value: &str) -> Self {
        const BOOLEANS: [&str; 12] = ["1", "t", "T", "true", "TRUE", "True", "0", "f", "F", "false", "FALSE", "False"];
        if parse_int(value, 10, 64).is_ok() {
            Self::Int
        } else if parse_float(value).is_ok() {
            Self::Float
        } else if BOOLEANS.contains(&value) {
            Self::Boolean
        } else if parse_go(value).is_ok() {
            Self::Duration
        } else if parse_bytes(value).is_ok() {
            Self::Bytes
        } else {
            Self::String
        }
    }
}

/// A field of lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DetectedField {
    /// The label it becomes.
    pub label: String,
    /// What its values look like.
    pub field_type: FieldType,
    /// How many values it has.
    pub cardinality: u64,
    /// Parsers that find it: `json`, `logfmt`; none for structured metadata.
    pub parsers: Vec<&'static str>,
    /// The keys of the value in the JSON object.
    pub json_path: Vec<String>,
}

/// The fields of the newest lines of a query, by name.
///
/// # Errors
/// As [`crate::Engine::query`].
pub fn detected_fields(
    source: &dyn LogSource,
    expr: &LogExpr,
    request: &FieldsRequest,
    context: &QueryContext<'_>,
) -> Result<Vec<DetectedField>, QueryError> {
    let mut fields = Fields { found: BTreeMap::new(), limit: request.limit };
    let mut reader = LineReader::default();
    for stream in entries(source, expr, request, context)? {
        reader.bind(&stream);
        for entry in &stream.entries {
            let Some(categories) = &entry.labels.categories else { continue };
            for (name, value) in categories.metadata.iter() {
                fields.add(name, value);
            }
            reader.read(entry, categories);
            for (name, values) in &reader.parsed {
                let Some(field) = fields.get(name) else { continue };
                if let Some(parser) = reader.parser
                    && !field.parsers.contains(&parser)
                {
                    field.parsers.push(parser);
                }
                if reader.parser == Some(JSON) {
                    field.json_path = reader.paths.get(name).cloned().unwrap_or_default();
                }
                for value in values {
                    fields.add(name, value);
                }
            }
        }
    }
    let done = |(label, (field, values)): (String, (DetectedField, HashSet<String>))| DetectedField {
        label,
        cardinality: values.len() as u64,
        ..field
    };
    Ok(fields.found.into_iter().map(done).collect())
}

/// The values of one field of the newest lines of a query, ascending. Byte sizes come in a form that a query can have.
///
/// # Errors
/// As [`crate::Engine::query`].
pub fn field_values(
    source: &dyn LogSource,
    expr: &LogExpr,
    name: &str,
    request: &FieldsRequest,
    context: &QueryContext<'_>,
) -> Result<Vec<String>, QueryError> {
    let mut found = BTreeSet::new();
    let mut reader = LineReader::default();
    for stream in entries(source, expr, request, context)? {
        reader.bind(&stream);
        for entry in &stream.entries {
            if found.len() >= request.limit {
                return Ok(found.into_iter().collect());
            }
            let Some(categories) = &entry.labels.categories else { continue };
            found.extend(categories.metadata.get(name).map(str::to_owned));
            reader.read(entry, categories);
            for value in reader.parsed.get(name).into_iter().flatten() {
                found.insert(match parse_bytes(value) {
                    Ok(bytes) if has_byte_unit(value) => BytesText(bytes).to_string(),
                    _ => value.clone(),
                });
            }
        }
    }
    Ok(found.into_iter().collect())
}

/// Whether a byte size has a unit.
fn has_byte_unit(value: &str) -> bool {
    !value.ends_with(|c: char| c.is_ascii_digit() || c == '.' || c == ',')
}

fn entries(
    source: &dyn LogSource,
    expr: &LogExpr,
    request: &FieldsRequest,
    context: &QueryContext<'_>,
) -> Result<Vec<StreamEntries>, QueryError> {
    let params = LogParams {
        start_ns: request.start_ns,
        end_ns: request.end_ns,
        direction: Direction::Backward,
        limit: request.line_limit,
        interval_ns: 0,
        categorize: true,
        after: None,
    };
    match crate::logs::query(source, expr, &params, context)?.value {
        Value::Streams(result) => Ok(result.streams),
        _ => Ok(Vec::new()),
    }
}

struct Fields {
    found: BTreeMap<String, (DetectedField, HashSet<String>)>,
    limit: usize,
}

impl Fields {
    /// The field of a name, unless there are too many already.
    fn get(&mut self, name: &str) -> Option<&mut DetectedField> {
        if !self.found.contains_key(name) {
            if self.found.len() >= self.limit {
                return None;
            }
            self.found.insert(name.to_owned(), Default::default());
        }
        self.found.get_mut(name).map(|(field, _)| field)
    }

    /// Adds a value. The type of a field is that of its last value.
    fn add(&mut self, name: &str, value: &str) {
        if self.get(name).is_none() {
            return;
        }
        let Some((field, values)) = self.found.get_mut(name) else { return };
        field.field_type = FieldType::of(value);
        if !values.contains(value) {
            values.insert(value.to_owned());
        }
    }
}

const JSON: &str = "json";
const LOGFMT: &str = "logfmt";

/// Finds the fields of lines.
struct LineReader {
    json: Pipeline,
    logfmt: Pipeline,
    columns: LogColumns,
    /// The fields of the line at hand with their values: that of the query's own parsers, and that of the parser here.
    parsed: BTreeMap<String, Vec<String>>,
    /// Which parser read the line at hand.
    parser: Option<&'static str>,
    paths: BTreeMap<String, Vec<String>>,
}

impl Default for LineReader {
    fn default() -> Self {
        let mut json = JsonStage::new(false);
        json.origins = Some(Vec::new());
        Self {
            json: Pipeline::of(Stage::Json(Box::new(json))),
            logfmt: Pipeline::of(Stage::Logfmt(Box::new(LogfmtStage::new(LogfmtFlags::default())))),
            columns: LogColumns::new(),
            parsed: BTreeMap::new(),
            parser: None,
            paths: BTreeMap::new(),
        }
    }
}

impl LineReader {
    fn bind(&mut self, stream: &StreamEntries) {
        let labels = Labels::from_pairs(stream.labels.iter());
        self.json.bind(&labels);
        self.logfmt.bind(&labels);
    }

    fn read(&mut self, entry: &Entry, categories: &Categories) {
        self.parsed.clear();
        self.paths.clear();
        self.parser = None;
        for (name, value) in categories.parsed.iter() {
            if !SPECIAL.contains(&name) {
                self.parsed.entry(name.to_owned()).or_default().push(value.to_owned());
            }
        }
        self.columns.clear();
        self.columns.push(0, &entry.line, []);
        for (parser, pipeline) in [(JSON, &mut self.json), (LOGFMT, &mut self.logfmt)] {
            if !pipeline.run(&self.columns, 0) || pipeline.state.labels.has_error() {
                continue;
            }
            self.parser = Some(parser);
            let state = &pipeline.state;
            let texts = state.texts(&self.columns.text);
            state.labels.for_each(|name, value, whose| {
                if whose != Whose::Parsed {
                    return;
                }
                let value = state.labels.resolve(value, texts);
                let values = self.parsed.entry(state.names.text(name).to_owned()).or_default();
                if !values.iter().any(|known| known == value) {
                    values.push(value.to_owned());
                }
            });
            if let Some(Stage::Json(stage)) = pipeline.stages.first() {
                for (name, key) in stage.origins.iter().flatten() {
                    self.paths.insert(state.names.text(*name).to_owned(), stage.path(*key));
                }
            }
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::ast::Expr;
    use crate::testing::MemoryLogs;
    use crate::{ParseOptions, parse};

    fn request() -> FieldsRequest {
        FieldsRequest { start_ns: 0, end_ns: 100, line_limit: 100, limit: 10 }
    }

    fn log(text: &str) -> LogExpr {
        match parse(text, ParseOptions::default()).unwrap() {
            Expr::Log(log) => log,
            Expr::Metric(_) => panic!("{text}"),
        }
    }

    #[test]
    fn tells_types() {
        let cases = [
            ("5", FieldType::Int),
            ("5.5", FieldType::Float),
            ("true", FieldType::Boolean),
            ("t", FieldType::Boolean),
            ("1m30s", FieldType::Duration),
            ("12kB", FieldType::Bytes),
            ("", FieldType::String),
            ("abc", FieldType::String),
        ];
        for (value, want) in cases {
            assert_eq!(FieldType::of(value), want, "{value}");
        }
    }

    #[test]
    fn finds_fields_of_json_logfmt_and_metadata() {
        let mut logs = MemoryLogs::new(10);
        let labels = Labels::from_pairs([("job", "api")]);
        logs.push(&labels, 1, r#"{"job":"x","size":"10KiB","request":{"user-agent":"curl"}}"#, [("seq", "1")]);
        logs.push(&labels, 2, r#"{"size":"20KiB","ok":true}"#, []);
        logs.push(&labels, 3, "took=5ms broken", [("seq", "2")]);
        let found = detected_fields(&logs, &log("{job=\"api\"}"), &request(), &QueryContext::at(0)).unwrap();
        let text: Vec<String> = found
            .iter()
            .map(|f| {
                format!("{} {} {} {:?} {:?}", f.label, f.field_type.as_str(), f.cardinality, f.parsers, f.json_path)
            })
            .collect();
        let want = [
            r#"job_extracted string 1 ["json"] ["job"]"#,
            r#"ok boolean 1 ["json"] ["ok"]"#,
            r#"request_user_agent string 1 ["json"] ["request", "user-agent"]"#,
            r#"seq int 2 [] []"#,
            r#"size bytes 2 ["json"] ["size"]"#,
            r#"took duration 1 ["logfmt"] []"#,
        ];
        assert_eq!(text, want);
        let values = |name| field_values(&logs, &log("{job=\"api\"}"), name, &request(), &QueryContext::at(0)).unwrap();
        assert_eq!(values("size"), ["10kB", "20kB"]);
        assert_eq!(values("seq"), ["1", "2"]);
        assert_eq!(values("nope"), Vec::<String>::new());
    }
}
