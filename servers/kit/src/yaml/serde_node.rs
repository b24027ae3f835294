//! Any `serde` type from a node, with the place in every error.
//!
//! The wanted type decides: a plain `012` is text for a `String` field and a number for a `u64` field.

use std::fmt;

use serde::Deserializer;
use serde::de::{self, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::section::FromNode;
use super::{ConfigError, Key, Kind, Node};

impl de::Error for ConfigError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::plain(message.to_string())
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::plain(format!("field {field} not found: one of {} would fit", expected.join(", ")))
    }
}

pub(super) struct NodeDeserializer<'a>(pub(super) &'a Node);

impl<'a> NodeDeserializer<'a> {
    fn text(&self) -> Result<&'a str, ConfigError> {
        match &self.0.kind {
            Kind::Scalar { text, .. } => Ok(text),
            Kind::Null => Ok(""),
            Kind::Bytes(bytes) => {
                Err(ConfigError::at(self.0, format!("\"{}\" is not valid UTF-8", bytes.escape_ascii())))
            }
            _ => Err(ConfigError::at(self.0, format!("cannot read {} as a string", self.0.describe()))),
        }
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $via:ty),* $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
            visitor.$visit(<$via>::from_node(self.0)?).map_err(|e: ConfigError| e.placed(self.0))
        }
    )*};
}

impl<'de> Deserializer<'de> for NodeDeserializer<'_> {
    type Error = ConfigError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        let node = self.0;
        match &node.kind {
            Kind::Null => visitor.visit_unit(),
            Kind::Bytes(bytes) => visitor.visit_bytes(bytes),
            Kind::Sequence(items) => visitor.visit_seq(Items(items.iter())),
            Kind::Mapping(pairs) => visitor.visit_map(Pairs { pairs: pairs.iter(), value: None }),
            Kind::Scalar { text, plain: false } => visitor.visit_str(text),
            Kind::Scalar { text, plain: true } => match text.as_str() {
                "true" | "True" | "TRUE" => visitor.visit_bool(true),
                "false" | "False" | "FALSE" => visitor.visit_bool(false),
                _ => match (i64::from_node(node), f64::from_node(node)) {
                    (Ok(number), _) => visitor.visit_i64(number),
                    (_, Ok(number))
                        if text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+')) =>
                    {
                        visitor.visit_f64(number)
                    }
                    _ => visitor.visit_str(text),
                },
            },
        }
        .map_err(|e: ConfigError| e.placed(node))
    }

    numbers! {
        deserialize_i8 visit_i64 i64, deserialize_i16 visit_i64 i64, deserialize_i32 visit_i64 i64, deserialize_i64 visit_i64 i64,
        deserialize_u8 visit_u64 u64, deserialize_u16 visit_u64 u64, deserialize_u32 visit_u64 u64, deserialize_u64 visit_u64 u64,
        deserialize_f32 visit_f64 f64, deserialize_f64 visit_f64 f64, deserialize_bool visit_bool bool,
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        visitor.visit_str(self.text()?).map_err(|e: ConfigError| e.placed(self.0))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        let node = self.0;
        match &node.kind {
            Kind::Null => visitor.visit_seq(Items([].iter())),
            Kind::Sequence(items) => visitor.visit_seq(Items(items.iter())),
            _ => Err(ConfigError::at(node, format!("cannot read {} as a list", node.describe()))),
        }
        .map_err(|e: ConfigError| e.placed(node))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        let node = self.0;
        match &node.kind {
            Kind::Null => visitor.visit_map(Pairs { pairs: [].iter(), value: None }),
            Kind::Mapping(pairs) => visitor.visit_map(Pairs { pairs: pairs.iter(), value: None }),
            _ => Err(ConfigError::at(node, format!("cannot read {} as a mapping", node.describe()))),
        }
        .map_err(|e: ConfigError| e.placed(node))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ConfigError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ConfigError> {
        let node = self.0;
        match &node.kind {
            Kind::Scalar { text, .. } => visitor.visit_enum(text.as_str().into_deserializer()),
            _ => Err(ConfigError::at(node, format!("cannot read {} as one of a set of names", node.describe()))),
        }
        .map_err(|e: ConfigError| e.placed(node))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ConfigError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct identifier }
}

struct Items<'a>(std::slice::Iter<'a, Node>);

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = ConfigError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ConfigError> {
        self.0.next().map(|node| seed.deserialize(NodeDeserializer(node)).map_err(|e| e.placed(node))).transpose()
    }
}

struct Pairs<'a> {
    pairs: std::slice::Iter<'a, (Key, Node)>,
    value: Option<(&'a Key, &'a Node)>,
}

impl<'de> MapAccess<'de> for Pairs<'_> {
    type Error = ConfigError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ConfigError> {
        let Some((key, node)) = self.pairs.next() else { return Ok(None) };
        self.value = Some((key, node));
        let at_key = |mut e: ConfigError| {
            if e.line == 0 {
                (e.line, e.column) = (key.line, key.column);
            }
            e
        };
        seed.deserialize(key.text.as_str().into_deserializer()).map(Some).map_err(at_key)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ConfigError> {
        let Some((key, node)) = self.value.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        seed.deserialize(NodeDeserializer(node)).map_err(|e| e.placed(node).in_field(&key.text))
    }
}
