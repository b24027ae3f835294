//! What the server needs to know of a dashboard's JSON; the rest passes through untouched.
//!
//! Three forms come in: the classic model, the same in a `v0`/`v1` resource, and the `v2` resource. The first two are kept
//! as the classic model, the third as it is: its shape is another one, and browsers read both.

use serde_json::{Map, Value};

use crate::error::ApiError;

/// Longest uid.
const MAX_UID: usize = 40;
/// Longest title.
const MAX_TITLE: usize = 5000;

/// A dashboard as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Model {
    /// The JSON object.
    pub(crate) json: Map<String, Value>,
    /// Version of the resource API when it is no classic model.
    pub(crate) api_version: Option<String>,
}

/// What lists and links show.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Facts {
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) tags: Vec<String>,
    /// Ids and titles, those in rows included.
    pub(crate) panels: Vec<(i64, String)>,
}

/// Whether a uid may name a dashboard, a folder or a data source; it also names files.
pub(crate) fn check_uid(uid: &str) -> Result<(), ApiError> {
    if uid.len() > MAX_UID {
        return Err(ApiError::bad_request(format!("uid too long, max {MAX_UID} characters")).id("uid.too-long"));
    }
    if uid.is_empty() || !uid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
        return Err(ApiError::bad_request("uid contains illegal characters").id("uid.invalid"));
    }
    Ok(())
}

impl Model {
    /// Reads any of the three forms; `null` and wrong types are errors that name the field.
    pub(crate) fn read(value: Value) -> Result<Self, ApiError> {
        let bad = |message: &str| Err(ApiError::bad_request(message));
        let Value::Object(mut json) = value else { return bad("the dashboard is no JSON object") };
        let is_resource = json.get("spec").is_some_and(Value::is_object) && json.contains_key("apiVersion");
        if is_resource {
            let version = json.get("apiVersion").and_then(Value::as_str).unwrap_or("").to_owned();
            if json.get("kind").and_then(Value::as_str) != Some("Dashboard") {
                return bad("kind: a Dashboard is expected");
            }
            let short = version.rsplit('/').next().unwrap_or("");
            if short.starts_with("v2") {
                return Ok(Self { json, api_version: Some(version) });
            }
            let name = json.get("metadata").and_then(|m| m.get("name")).and_then(Value::as_str).map(str::to_owned);
            let Some(Value::Object(mut spec)) = json.remove("spec") else { return bad("spec: an object is expected") };
            if let Some(name) = name {
                spec.entry("uid").or_insert(name.into());
            }
            json = spec;
        }
        for (key, wanted) in [("panels", "a list"), ("tags", "a list"), ("rows", "a list")] {
            if json.get(key).is_some_and(|value| !value.is_array() && !value.is_null()) {
                return bad(&format!("{key}: {wanted} is expected"));
            }
        }
        if json.get("title").is_some_and(|title| !title.is_string() && !title.is_null()) {
            return bad("title: a text is expected");
        }
        Ok(Self { json, api_version: None })
    }

    /// The uid in it, if any.
    pub(crate) fn uid(&self) -> Option<&str> {
        let uid = match &self.api_version {
            Some(_) => self.json.get("metadata").and_then(|m| m.get("name")),
            None => self.json.get("uid"),
        };
        uid.and_then(Value::as_str).filter(|uid| !uid.is_empty())
    }

    /// The version it was made from, if it says so.
    pub(crate) fn version(&self) -> Option<i64> {
        match &self.api_version {
            Some(_) => {
                let text = self.json.get("metadata")?.get("resourceVersion")?.as_str()?;
                text.parse().ok()
            }
            None => self.json.get("version")?.as_i64(),
        }
    }

    /// The number in it, if any.
    pub(crate) fn id(&self) -> Option<u64> {
        self.json.get("id").and_then(Value::as_u64).filter(|id| *id > 0)
    }

    /// Makes it the stored form of a version.
    pub(crate) fn stamp(&mut self, id: u64, uid: &str, version: i64) {
        if self.api_version.is_some() {
            let metadata = self.json.entry("metadata").or_insert_with(|| Map::new().into());
            if let Value::Object(metadata) = metadata {
                metadata.insert("name".into(), uid.into());
                metadata.insert("resourceVersion".into(), version.to_string().into());
                metadata.insert("generation".into(), version.into());
                metadata.entry("namespace").or_insert("default".into());
            }
        } else {
            self.json.insert("id".into(), id.into());
            self.json.insert("uid".into(), uid.into());
            self.json.insert("version".into(), version.into());
        }
    }

    /// The part of it that has title and tags.
    fn spec(&self) -> &Map<String, Value> {
        match &self.api_version {
            Some(_) => self.json.get("spec").and_then(Value::as_object).unwrap_or(&self.json),
            None => &self.json,
        }
    }

    /// # Errors
    /// When there is no title, or it is too long.
    pub(crate) fn facts(&self) -> Result<Facts, ApiError> {
        let spec = self.spec();
        let text = |key: &str| spec.get(key).and_then(Value::as_str).unwrap_or("").trim().to_owned();
        let title = text("title");
        if title.is_empty() {
            return Err(ApiError::bad_request("Dashboard title cannot be empty").with("status", "empty-name"));
        }
        if title.len() > MAX_TITLE {
            return Err(ApiError::bad_request(format!(
                "Dashboard title cannot contain more than {MAX_TITLE} characters"
            )));
        }
        let tags = spec.get("tags").and_then(Value::as_array);
        let mut panels = Vec::new();
        if self.api_version.is_some() {
            for element in spec.get("elements").and_then(Value::as_object).into_iter().flat_map(Map::values) {
                panels.extend(element.get("spec").and_then(panel));
            }
        } else {
            let rows = spec.get("rows").and_then(Value::as_array).into_iter().flatten();
            let groups = rows.filter_map(|row| row.get("panels")).chain(spec.get("panels"));
            for one in groups.filter_map(Value::as_array).flatten() {
                panels.extend(panel(one));
                panels.extend(one.get("panels").and_then(Value::as_array).into_iter().flatten().filter_map(panel));
            }
        }
        Ok(Facts {
            title,
            description: text("description"),
            tags: tags.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
            panels,
        })
    }

    /// Without what changes from save to save: equal texts mean that nothing was changed.
    pub(crate) fn comparable(&self) -> Map<String, Value> {
        let mut json = self.json.clone();
        for key in ["id", "uid", "version", "iteration"] {
            json.remove(key);
        }
        if self.api_version.is_some() {
            json.remove("metadata");
        }
        json
    }

    /// JSON text.
    pub(crate) fn to_text(&self) -> String {
        // A map of JSON values always prints.
        serde_json::to_string(&self.json).unwrap_or_default()
    }
}

fn panel(value: &Value) -> Option<(i64, String)> {
    Some((value.get("id")?.as_i64()?, value.get("title").and_then(Value::as_str).unwrap_or("").to_owned()))
}

/// The title in a URL.
pub(crate) fn slug(title: &str) -> String {
    let mut out = String::new();
    for c in title.to_lowercase().chars() {
        match c {
            'ä' => out.push_str("ae"),
            'ö' => out.push_str("oe"),
            'ü' => out.push_str("ue"),
            'ß' => out.push_str("ss"),
            c if c.is_alphanumeric() => out.push(c),
            '_' => out.push('_'),
            '&' => out.push_str("and"),
            _ if !out.ends_with('-') && !out.is_empty() => out.push('-'),
            _ => {}
        }
    }
    let slug = out.trim_end_matches('-');
    if slug.is_empty() { "dashboard".to_owned() } else { slug.chars().take(189).collect() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_all_three_forms() {
        let classic = json!({"id": 3, "uid": "a", "version": 4, "title": " T ", "tags": ["x", 5],
            "panels": [{"id": 1, "title": "p"}, {"id": 2, "type": "row", "panels": [{"id": 3}]}], "extra": {"kept": true}});
        let model = Model::read(classic.clone()).unwrap();
        assert_eq!((model.uid(), model.version(), model.id()), (Some("a"), Some(4), Some(3)));
        let facts = model.facts().unwrap();
        assert_eq!(facts.title, "T");
        assert_eq!(facts.tags, ["x"]);
        assert_eq!(facts.panels, [(1, "p".to_owned()), (2, String::new()), (3, String::new())]);
        assert_eq!(Value::Object(model.json), classic);

        let v1 = json!({"apiVersion": "dashboard.grafana.app/v1beta1", "kind": "Dashboard", "metadata": {"name": "b"},
            "spec": {"title": "V1", "rows": [{"panels": [{"id": 9, "title": "old"}]}]}});
        let model = Model::read(v1).unwrap();
        assert_eq!((model.uid(), model.api_version.clone()), (Some("b"), None));
        assert_eq!(model.facts().unwrap().panels, [(9, "old".to_owned())]);

        let v2 = json!({"apiVersion": "dashboard.grafana.app/v2", "kind": "Dashboard",
            "metadata": {"name": "c", "resourceVersion": "7"},
            "spec": {"title": "V2", "tags": ["t"], "elements": {"p": {"kind": "Panel", "spec": {"id": 4, "title": "q"}}}}});
        let mut model = Model::read(v2).unwrap();
        assert_eq!((model.uid(), model.version()), (Some("c"), Some(7)));
        assert_eq!(model.facts().unwrap().panels, [(4, "q".to_owned())]);
        model.stamp(1, "d", 8);
        assert_eq!((model.uid(), model.version()), (Some("d"), Some(8)));
    }

    #[test]
    fn refuses_what_is_no_dashboard() {
        for (value, want) in [
            (json!([]), "the dashboard is no JSON object"),
            (json!({"panels": {}}), "panels: a list is expected"),
            (json!({"title": 5}), "title: a text is expected"),
            (json!({"apiVersion": "x/v2", "kind": "Folder", "spec": {}}), "kind: a Dashboard is expected"),
        ] {
            assert_eq!(Model::read(value).unwrap_err().message, want);
        }
        let untitled = Model::read(json!({"title": " "})).unwrap();
        assert_eq!(untitled.facts().unwrap_err().message, "Dashboard title cannot be empty");
        for (uid, fine) in [("a-b_C9", true), ("", false), ("a/b", false), ("../x", false), ("ä", false)] {
            assert_eq!(check_uid(uid).is_ok(), fine, "{uid}");
        }
        assert!(check_uid(&"x".repeat(41)).is_err());
    }

    #[test]
    fn slugs() {
        for (title, want) in [
            ("Node Exporter Full", "node-exporter-full"),
            ("Über & Co.", "ueber-and-co"),
            ("--", "dashboard"),
            ("a_b/c", "a_b-c"),
        ] {
            assert_eq!(slug(title), want);
        }
    }
}
