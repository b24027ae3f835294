//! Labels of routes: templates that may refer to each other with `routeLabels`, but not in a circle.

use std::cell::RefCell;
use std::collections::BTreeMap;

use gotemplate::{CallError, CallResult, Host, Value};

use super::{Templates, data};
use crate::notify::message::Message;

struct Resolver<'a> {
    templates: &'a Templates,
    raw: &'a BTreeMap<String, String>,
    message: &'a Message,
    now_ms: i64,
    done: RefCell<BTreeMap<String, String>>,
    /// Names on the way, outermost first.
    open: RefCell<Vec<String>>,
}

pub(super) fn render(
    templates: &Templates,
    raw: &BTreeMap<String, String>,
    message: &Message,
    now_ms: i64,
) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    if raw.is_empty() {
        return Default::default();
    }
    // Templates see the texts as they are configured.
    let message = Message { route_labels: raw.clone(), ..message.clone() };
    let resolver =
        Resolver { templates, raw, message: &message, now_ms, done: RefCell::default(), open: RefCell::default() };
    let (mut rendered, mut failed) = (BTreeMap::new(), BTreeMap::new());
    for name in raw.keys() {
        match resolver.resolve(name) {
            Ok(value) => rendered.insert(name.clone(), value),
            Err(error) => failed.insert(name.clone(), error),
        };
    }
    (rendered, failed)
}

impl Resolver<'_> {
    fn resolve(&self, name: &str) -> Result<String, String> {
        let Some(text) = self.raw.get(name) else { return Ok(String::new()) };
        if let Some(known) = self.done.borrow().get(name) {
            return Ok(known.clone());
        }
        if self.open.borrow().iter().any(|open| open == name) {
            let mut circle = self.open.borrow().clone();
            circle.push(name.to_owned());
            return Err(format!("route label cycle detected: {}", circle.join(" -> ")));
        }
        self.open.borrow_mut().push(name.to_owned());
        let data = || data::value(self.message, self.templates, false);
        let result = self.templates.execute(text, data, self, self.now_ms);
        self.open.borrow_mut().pop();
        let value = result.map_err(|error| error.to_string())?;
        self.done.borrow_mut().insert(name.to_owned(), value.clone());
        Ok(value)
    }
}

impl Host for Resolver<'_> {
    fn call<'d>(&'d self, name: &str, args: &[Value<'d>]) -> Option<CallResult<'d>> {
        match (name, args) {
            ("routeLabels", [Value::Str(label)]) => {
                Some(self.resolve(&label.to_str()).map(Value::from).map_err(CallError::Failed))
            }
            _ => None,
        }
    }
}
