//! The values a template works on.
//!
//! [`Value`] is one enum, not a generic parameter: a template mixes strings, numbers, lists and the host's own data within
//! one expression, so there is no one type to be generic over, and matching on an enum costs less than a virtual call for
//! each string. The host's data joins in three ways: ready-made values (cheap to clone: text is borrowed or counted),
//! [`Map`] and [`Record`] values with methods from a [`Type`], or by reference as an [`Object`], which is asked only for
//! what the template names. Looking up a label and printing it allocates nothing.

use std::fmt;
use std::rc::Rc;

use crate::function::Function;
use crate::gotime::{Duration, Time};

/// A value in a template. `'d` is the lifetime of the data it was made from.
#[derive(Clone)]
#[non_exhaustive]
pub enum Value<'d> {
    /// No value at all, as of a key that a map does not have; prints as `<no value>`.
    Missing,
    /// Go's nil, as of a JSON null.
    Nil,
    /// `bool`
    Bool(bool),
    /// `int`
    Int(i64),
    /// `int64`, the type of most arithmetic functions' results
    Int64(i64),
    /// `uint64`
    Uint64(u64),
    /// `uint8`, an element of a string
    Byte(u8),
    /// `float64`
    Float(f64),
    /// `string`
    Str(Text<'d>),
    /// `time.Time`
    Time(Rc<Time>),
    /// `time.Duration`
    Duration(Duration),
    /// A slice.
    List(List<'d>),
    /// A map with string keys.
    Map(Map<'d>),
    /// A struct.
    Record(Record<'d>),
    /// Data of the host, by reference.
    Object(&'d dyn Object),
    /// A function as a value, for `call`.
    Function(&'static Function),
}

/// Text, borrowed from the data or counted; bytes that are usually but not always UTF-8.
#[derive(Clone)]
pub enum Text<'d> {
    /// Part of the data or of the template.
    Borrowed(&'d [u8]),
    /// Made while executing.
    Shared(Rc<[u8]>),
}

impl std::ops::Deref for Text<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

impl Text<'_> {
    /// The text as UTF-8, stray bytes replaced.
    pub fn to_str(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self)
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.to_str(), f)
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<'d> From<&'d str> for Text<'d> {
    fn from(text: &'d str) -> Self {
        Self::Borrowed(text.as_bytes())
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self::Shared(Rc::from(text.into_bytes()))
    }
}

impl From<Vec<u8>> for Text<'_> {
    fn from(text: Vec<u8>) -> Self {
        Self::Shared(Rc::from(text))
    }
}

/// A type the host gives its lists, maps and records.
#[derive(Debug)]
pub struct Type {
    /// As Go prints it: `template.KV`, `[]string`.
    pub name: &'static str,
    /// What its elements are; for a map also what a missing key gives.
    pub element: Element,
    /// Methods. The first argument a method's implementation gets is the receiver; it is not among the parameters.
    pub methods: &'static [Function],
    /// Go's `String()`, if the type has it: how values print.
    pub display: Option<fn(&Value<'_>) -> String>,
    /// Fields of the struct start with a small letter in JSON.
    pub json_lower: bool,
}

/// Type of the elements of a list or map.
#[derive(Debug, Clone, Copy)]
pub enum Element {
    /// `string`
    Str,
    /// `float64`
    Float,
    /// `interface {}`: anything.
    Any,
    /// A type of the host.
    Host(&'static Type),
}

impl Type {
    /// `[]interface {}`
    pub const ANY_LIST: &'static Self = &Self::plain("[]interface {}", Element::Any);
    /// `[]string`
    pub const STR_LIST: &'static Self = &Self::plain("[]string", Element::Str);
    /// `map[string]interface {}`
    pub const ANY_MAP: &'static Self = &Self::plain("map[string]interface {}", Element::Any);
    /// `map[string]string`
    pub const STR_MAP: &'static Self = &Self::plain("map[string]string", Element::Str);

    /// A type without methods.
    pub const fn plain(name: &'static str, element: Element) -> Self {
        Self { name, element, methods: &[], display: None, json_lower: false }
    }

    /// What a key that is not there gives under `missingkey=zero`, and what `index` gives.
    pub(crate) fn zero_element<'d>(&self) -> Value<'d> {
        match self.element {
            Element::Str => Value::Str(Text::Borrowed(b"")),
            Element::Float => Value::Float(0.0),
            Element::Any => Value::Nil,
            Element::Host(element) => Value::Map(Map::new(element, Vec::new())),
        }
    }
}

/// A slice value.
#[derive(Clone, Debug)]
pub struct List<'d> {
    /// Its type.
    pub ty: &'static Type,
    /// Its elements.
    pub items: Rc<[Value<'d>]>,
}

impl<'d> List<'d> {
    /// A list of type `ty`.
    pub fn new(ty: &'static Type, items: Vec<Value<'d>>) -> Self {
        Self { ty, items: Rc::from(items) }
    }
}

/// A map value, its entries sorted by key.
#[derive(Clone, Debug)]
pub struct Map<'d> {
    /// Its type.
    pub ty: &'static Type,
    entries: Rc<[(Text<'d>, Value<'d>)]>,
}

impl<'d> Map<'d> {
    /// A map of type `ty`. Of entries with one key the last counts.
    pub fn new(ty: &'static Type, mut entries: Vec<(Text<'d>, Value<'d>)>) -> Self {
        entries.reverse();
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        entries.dedup_by(|a, b| a.0 == b.0);
        Self { ty, entries: Rc::from(entries) }
    }

    /// The value of `key`.
    pub fn get(&self, key: &[u8]) -> Option<&Value<'d>> {
        let at = self.entries.binary_search_by(|(known, _)| (**known).cmp(key)).ok()?;
        self.entries.get(at).map(|(_, value)| value)
    }

    /// All entries in the order of their keys.
    pub fn entries(&self) -> &[(Text<'d>, Value<'d>)] {
        &self.entries
    }
}

/// A struct value: named fields in the order of their declaration.
#[derive(Clone, Debug)]
pub struct Record<'d> {
    /// Its type.
    pub ty: &'static Type,
    /// Its fields.
    pub fields: Rc<[(&'static str, Value<'d>)]>,
}

impl<'d> Record<'d> {
    /// A struct of type `ty`.
    pub fn new(ty: &'static Type, fields: Vec<(&'static str, Value<'d>)>) -> Self {
        Self { ty, fields: Rc::from(fields) }
    }

    /// The field called `name`.
    pub fn get(&self, name: &str) -> Option<&Value<'d>> {
        self.fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

/// What an [`Object`] is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// A struct: unknown fields are errors.
    Struct,
    /// A map with string keys: unknown keys are missing.
    Map,
}

/// Data of the host that is asked for its parts as the template names them.
pub trait Object {
    /// Name, element type, methods.
    fn ty(&self) -> &'static Type;

    /// Struct or map.
    fn kind(&self) -> ObjectKind {
        ObjectKind::Map
    }

    /// The field or the value of the key `name`.
    fn field(&self, name: &str) -> Option<Value<'_>>;

    /// Number of fields or entries.
    fn len(&self) -> usize {
        0
    }

    /// Whether there are no fields or entries.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The field or entry at `index`; the entries of a map are in the order of their keys.
    fn entry(&self, _index: usize) -> Option<(Text<'_>, Value<'_>)> {
        None
    }
}

/// `map[string]string` over pairs sorted by name, the form labels have.
impl Object for [(&str, &str)] {
    fn ty(&self) -> &'static Type {
        Type::STR_MAP
    }

    fn field(&self, name: &str) -> Option<Value<'_>> {
        let at = self.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
        self.get(at).map(|(_, value)| Value::from(*value))
    }

    fn len(&self) -> usize {
        <[_]>::len(self)
    }

    fn entry(&self, index: usize) -> Option<(Text<'_>, Value<'_>)> {
        self.get(index).map(|(name, value)| (Text::from(*name), Value::from(*value)))
    }
}

impl<const N: usize> Object for [(&str, &str); N] {
    fn ty(&self) -> &'static Type {
        Type::STR_MAP
    }

    fn field(&self, name: &str) -> Option<Value<'_>> {
        Object::field(self.as_slice(), name)
    }

    fn len(&self) -> usize {
        N
    }

    fn entry(&self, index: usize) -> Option<(Text<'_>, Value<'_>)> {
        Object::entry(self.as_slice(), index)
    }
}

impl<'d> Value<'d> {
    /// A string value from text made on the way.
    pub fn text(text: impl Into<Text<'d>>) -> Self {
        Self::Str(text.into())
    }

    /// A `[]string`.
    pub fn strings<T: Into<Text<'d>>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::List(List::new(Type::STR_LIST, items.into_iter().map(|item| Self::Str(item.into())).collect()))
    }

    /// A `[]interface {}`.
    pub fn list(items: Vec<Value<'d>>) -> Self {
        Self::List(List::new(Type::ANY_LIST, items))
    }

    /// A `map[string]interface {}`.
    pub fn map<K: Into<Text<'d>>>(entries: impl IntoIterator<Item = (K, Value<'d>)>) -> Self {
        let entries = entries.into_iter().map(|(key, value)| (key.into(), value)).collect();
        Self::Map(Map::new(Type::ANY_MAP, entries))
    }

    /// The value as Go names its type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Missing | Self::Nil => "interface {}",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Int64(_) => "int64",
            Self::Uint64(_) => "uint64",
            Self::Byte(_) => "uint8",
            Self::Float(_) => "float64",
            Self::Str(_) => "string",
            Self::Time(_) => "time.Time",
            Self::Duration(_) => "time.Duration",
            Self::List(list) => list.ty.name,
            Self::Map(map) => map.ty.name,
            Self::Record(record) => record.ty.name,
            Self::Object(object) => object.ty().name,
            Self::Function(_) => "func",
        }
    }

    /// What `if` makes of it.
    pub fn is_true(&self) -> bool {
        match self {
            Self::Missing | Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(value) | Self::Int64(value) => *value != 0,
            Self::Uint64(value) => *value != 0,
            Self::Byte(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::Duration(duration) => duration.0 != 0,
            Self::List(list) => !list.items.is_empty(),
            Self::Map(map) => !map.entries.is_empty(),
            Self::Object(object) => object.kind() == ObjectKind::Struct || !object.is_empty(),
            Self::Time(_) | Self::Record(_) | Self::Function(_) => true,
        }
    }

    /// Methods of the value's type.
    pub(crate) fn methods(&self) -> &'static [Function] {
        match self {
            Self::List(list) => list.ty.methods,
            Self::Map(map) => map.ty.methods,
            Self::Record(record) => record.ty.methods,
            Self::Object(object) => object.ty().methods,
            Self::Time(_) => crate::builtins::TIME_METHODS,
            Self::Duration(_) => crate::builtins::DURATION_METHODS,
            _ => &[],
        }
    }

    /// Takes `nil` out of an interface: what a pipeline passes on.
    pub(crate) fn without_nil(self) -> Self {
        match self {
            Self::Nil => Self::Missing,
            value => value,
        }
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.type_name())?;
        f.write_str(&String::from_utf8_lossy(&crate::print::display(self)))?;
        f.write_str(")")
    }
}

impl<'d> From<&'d str> for Value<'d> {
    fn from(text: &'d str) -> Self {
        Self::Str(Text::Borrowed(text.as_bytes()))
    }
}

impl<'d> From<&'d [u8]> for Value<'d> {
    fn from(text: &'d [u8]) -> Self {
        Self::Str(Text::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Str(text.into())
    }
}

impl From<Vec<u8>> for Value<'_> {
    fn from(text: Vec<u8>) -> Self {
        Self::Str(text.into())
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

/// A Go `int`.
impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Value<'_> {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<Time> for Value<'_> {
    fn from(time: Time) -> Self {
        Self::Time(Rc::new(time))
    }
}

impl From<Duration> for Value<'_> {
    fn from(duration: Duration) -> Self {
        Self::Duration(duration)
    }
}
