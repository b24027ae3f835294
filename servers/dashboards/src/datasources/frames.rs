//! Answers as Grafana's data frames: `{schema: {refId, name, meta, fields}, data: {values, entities}}`.
//!
//! Values that JSON has no number for are null, and `entities` says which of them was `NaN`, `Inf` or `-Inf`.

use serde_json::{Map, Value, json};

use super::query::{Answer, LabelMap, Line, Series};

/// How a query wants its answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Form {
    pub(crate) ref_id: String,
    /// One frame of rows instead of one a series.
    pub(crate) table: bool,
    /// `{{label}}` pattern, `__auto`, or empty.
    pub(crate) legend: String,
    pub(crate) step_ms: i64,
    /// What was asked, for people who look into it.
    pub(crate) executed: String,
}

/// The frames of an answer.
pub(crate) fn frames(answer: &Answer, form: &Form) -> Vec<Value> {
    match answer {
        Answer::Matrix(series) if form.table => vec![table(series, form)],
        Answer::Vector(series) if form.table => vec![table(series, form)],
        Answer::Matrix(series) => {
            series.iter().map(|one| series_frame(one, form, "timeseries-multi", "matrix")).collect()
        }
        Answer::Vector(series) => series.iter().map(|one| series_frame(one, form, "numeric-multi", "vector")).collect(),
        Answer::Scalar(at, value) => {
            let one = Series { labels: LabelMap::new(), points: vec![(*at, *value)] };
            vec![series_frame(&one, form, "numeric-multi", "scalar")]
        }
        Answer::Text(at, text) => {
            let fields = vec![time_field("Time"), text_field("Value")];
            vec![frame(form, "", fields, vec![json!([at]), json!([text])], Vec::new(), json!({}))]
        }
        Answer::Lines(lines) => vec![lines_frame(lines, form)],
    }
}

fn time_field(name: &str) -> Value {
    json!({"name": name, "type": "time", "typeInfo": {"frame": "time.Time"}, "config": {}})
}

fn text_field(name: &str) -> Value {
    json!({"name": name, "type": "string", "typeInfo": {"frame": "string"}})
}

fn frame(form: &Form, name: &str, fields: Vec<Value>, values: Vec<Value>, entities: Vec<Value>, meta: Value) -> Value {
    let mut schema = json!({"refId": form.ref_id, "meta": meta, "fields": fields});
    if let Some(schema) = schema.as_object_mut() {
        if !name.is_empty() {
            schema.insert("name".into(), name.into());
        }
        if let Some(meta) = schema.get_mut("meta").and_then(Value::as_object_mut) {
            meta.insert("executedQueryString".into(), form.executed.clone().into());
        }
    }
    let mut data = json!({ "values": values });
    if let (Some(data), true) = (data.as_object_mut(), entities.iter().any(|one| !one.is_null())) {
        data.insert("entities".into(), entities.into());
    }
    json!({"schema": schema, "data": data})
}

/// Numbers, and which of them JSON cannot write.
fn numbers(values: impl Iterator<Item = f64>) -> (Vec<Value>, Value) {
    let mut out = Vec::new();
    let mut special: Map<String, Value> = Map::new();
    for (index, value) in values.enumerate() {
        if value.is_finite() {
            out.push(value.into());
            continue;
        }
        out.push(Value::Null);
        let key = if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "Inf"
        } else {
            "NegInf"
        };
        if let Some(list) = special.entry(key).or_insert_with(|| json!([])).as_array_mut() {
            list.push(index.into());
        }
    }
    (out, if special.is_empty() { Value::Null } else { special.into() })
}

fn series_frame(series: &Series, form: &Form, kind: &str, result: &str) -> Value {
    let name = legend(&form.legend, &series.labels, &form.executed);
    let mut time = time_field("Time");
    if result == "matrix"
        && let Some(time) = time.as_object_mut()
    {
        time.insert("config".into(), json!({"interval": form.step_ms}));
    }
    let value = json!({
        "name": series.labels.get("__name__").filter(|_| result != "matrix").map_or("Value", String::as_str),
        "type": "number",
        "typeInfo": {"frame": "float64"},
        "labels": series.labels,
        "config": {"displayNameFromDS": name},
    });
    let times: Vec<i64> = series.points.iter().map(|(at, _)| *at).collect();
    let (values, special) = numbers(series.points.iter().map(|(_, value)| *value));
    let meta = json!({"type": kind, "typeVersion": [0, 1], "custom": {"resultType": result}});
    frame(form, &name, vec![time, value], vec![json!(times), values.into()], vec![Value::Null, special], meta)
}

/// One frame with a row for each point: time, a column for each label, the value.
fn table(series: &[Series], form: &Form) -> Value {
    let mut names: Vec<&str> = series.iter().flat_map(|one| one.labels.keys().map(String::as_str)).collect();
    names.sort_unstable();
    names.dedup();
    let rows: Vec<(&Series, i64, f64)> =
        series.iter().flat_map(|one| one.points.iter().map(move |(at, value)| (one, *at, *value))).collect();
    let mut fields = vec![time_field("Time")];
    let mut values = vec![Value::from(rows.iter().map(|(_, at, _)| *at).collect::<Vec<_>>())];
    let mut entities = vec![Value::Null];
    for name in names {
        fields.push(text_field(name));
        let column: Vec<&str> = rows.iter().map(|(one, ..)| one.labels.get(name).map_or("", String::as_str)).collect();
        values.push(column.into());
        entities.push(Value::Null);
    }
    fields.push(json!({"name": "Value", "type": "number", "typeInfo": {"frame": "float64"}, "config": {}}));
    let (numbers, special) = numbers(rows.iter().map(|(_, _, value)| *value));
    values.push(numbers.into());
    entities.push(special);
    frame(
        form,
        "",
        fields,
        values,
        entities,
        json!({"type": "table", "typeVersion": [0, 1], "preferredVisualisationType": "table"}),
    )
}

fn lines_frame(lines: &[Line], form: &Form) -> Value {
    let other = |name: &str| json!({"name": name, "type": "other", "typeInfo": {"frame": "json.RawMessage"}});
    let fields = vec![
        other("labels"),
        time_field("Time"),
        text_field("Line"),
        text_field("tsNs"),
        other("labelTypes"),
        text_field("id"),
    ];
    let mut labels = Vec::new();
    let mut kinds = Vec::new();
    let mut ids = Vec::new();
    for line in lines {
        let all: LabelMap = line.labels.iter().chain(&line.metadata).map(|(k, v)| (k.clone(), v.clone())).collect();
        let kind: Map<String, Value> = all
            .keys()
            .map(|name| (name.clone(), if line.metadata.contains_key(name) { "S" } else { "I" }.into()))
            .collect();
        let id = crate::store::checksum(format!("{:?}{}", line.labels, line.text).as_bytes());
        ids.push(format!("{}_{id}", line.timestamp_ns));
        labels.push(json!(all));
        kinds.push(Value::Object(kind));
    }
    let column = |get: &dyn Fn(&Line) -> Value| Value::Array(lines.iter().map(get).collect());
    let values = vec![
        labels.into(),
        column(&|line| (line.timestamp_ns / 1_000_000).into()),
        column(&|line| line.text.clone().into()),
        column(&|line| line.timestamp_ns.to_string().into()),
        kinds.into(),
        ids.into(),
    ];
    frame(
        form,
        "",
        fields,
        values,
        Vec::new(),
        json!({"typeVersion": [0, 0], "custom": {"frameType": "LabeledTimeValues"}}),
    )
}

/// The name of a series: by the pattern, or all its labels.
fn legend(pattern: &str, labels: &LabelMap, expr: &str) -> String {
    if !pattern.is_empty() && pattern != "__auto" {
        let mut out = String::new();
        let mut rest = pattern;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((name, tail)) = after.split_once("}}") else { break };
            out.push_str(before);
            out.push_str(labels.get(name.trim()).map_or("", String::as_str));
            rest = tail;
        }
        out.push_str(rest);
        return out;
    }
    let name = labels.get("__name__").map_or("", String::as_str);
    let pairs: Vec<String> =
        labels.iter().filter(|(key, _)| *key != "__name__").map(|(key, value)| format!("{key}={value:?}")).collect();
    match (name, pairs.is_empty()) {
        ("", true) => expr.lines().next().unwrap_or("").trim_start_matches("Expr: ").to_owned(),
        (name, true) => name.to_owned(),
        (name, false) => format!("{name}{{{}}}", pairs.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> LabelMap {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn series_become_frames() {
        let series = Series {
            labels: labels(&[("__name__", "up"), ("job", "a")]),
            points: vec![(1000, 1.0), (2000, f64::NAN), (3000, f64::NEG_INFINITY)],
        };
        let form = Form { ref_id: "A".into(), step_ms: 1000, executed: "Expr: up".into(), ..Form::default() };
        let found = frames(&Answer::Matrix(vec![series.clone()]), &form);
        assert_eq!(found[0]["schema"]["fields"][1]["labels"], json!({"__name__": "up", "job": "a"}));
        assert_eq!(found[0]["schema"]["name"], "up{job=\"a\"}");
        assert_eq!(
            found[0]["data"],
            json!({"values": [[1000, 2000, 3000], [1.0, null, null]], "entities": [null, {"NaN": [1], "NegInf": [2]}]})
        );
        let form = Form { table: true, ..form };
        let found = frames(&Answer::Matrix(vec![series]), &form);
        let names: Vec<&str> =
            found[0]["schema"]["fields"].as_array().unwrap().iter().map(|f| f["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["Time", "__name__", "job", "Value"]);
        assert_eq!(found[0]["data"]["values"][2], json!(["a", "a", "a"]));
    }

    #[test]
    fn lines_become_a_frame() {
        let line = Line {
            labels: Arc::new(labels(&[("job", "a")])),
            timestamp_ns: 1_500_000_001,
            text: "x".into(),
            metadata: labels(&[("trace", "1")]),
        };
        let found = frames(&Answer::Lines(vec![line]), &Form::default());
        let values = &found[0]["data"]["values"];
        assert_eq!(values[0], json!([{"job": "a", "trace": "1"}]));
        assert_eq!((&values[1], &values[2], &values[3]), (&json!([1500]), &json!(["x"]), &json!(["1500000001"])));
        assert_eq!(values[4], json!([{"job": "I", "trace": "S"}]));
    }

    #[test]
    fn legends() {
        let set = labels(&[("__name__", "up"), ("job", "a")]);
        for (pattern, want) in
            [("{{job}} of {{ __name__ }}", "a of up"), ("__auto", "up{job=\"a\"}"), ("{{none}}x{{", "x{{")]
        {
            assert_eq!(legend(pattern, &set, "e"), want);
        }
        assert_eq!(legend("", &LabelMap::new(), "Expr: 1+1\nStep: 1s"), "1+1");
    }
}
