//! Serde forms that `model`'s types do not have: label sets as maps, floats that keep NaN and the infinities.

/// A label set as a map of names to values.
pub mod serde_labels {
    use std::collections::BTreeMap;

    use model::Labels;
    use serde::de::{Deserialize, Deserializer};
    use serde::ser::Serializer;

    /// Writes a map, names ascending.
    pub fn serialize<S: Serializer>(labels: &Labels, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(labels.iter())
    }

    /// Reads a map; empty values are left out, `null` is the empty set.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Labels, D::Error> {
        let map = Option::<BTreeMap<String, Option<String>>>::deserialize(deserializer)?.unwrap_or_default();
        Ok(Labels::from_pairs(map.into_iter().map(|(name, value)| (name, value.unwrap_or_default()))))
    }
}

/// A map keyed by label sets, as a list of pairs: JSON keys are texts only.
pub mod serde_by_labels {
    use std::collections::BTreeMap;

    use model::Labels;
    use serde::de::{Deserialize, Deserializer};
    use serde::ser::{Serialize, Serializer};

    #[derive(serde::Serialize)]
    struct Borrowed<'a, V>(#[serde(with = "super::serde_labels")] &'a Labels, &'a V);

    #[derive(serde::Deserialize)]
    struct Owned<V>(#[serde(with = "super::serde_labels")] Labels, V);

    /// Writes `[[labels, value], …]`.
    pub fn serialize<S: Serializer, V: Serialize>(map: &BTreeMap<Labels, V>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map.iter().map(|(labels, value)| Borrowed(labels, value)))
    }

    /// Reads `[[labels, value], …]`; of two entries with one label set the later wins.
    pub fn deserialize<'de, D: Deserializer<'de>, V: Deserialize<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Labels, V>, D::Error> {
        let entries = Vec::<Owned<V>>::deserialize(deserializer)?;
        Ok(entries.into_iter().map(|Owned(labels, value)| (labels, value)).collect())
    }
}

/// A list of label sets.
pub mod serde_label_list {
    use model::Labels;
    use serde::de::{Deserialize, Deserializer};
    use serde::ser::Serializer;

    #[derive(serde::Serialize)]
    struct Borrowed<'a>(#[serde(with = "super::serde_labels")] &'a Labels);

    #[derive(serde::Deserialize)]
    struct Owned(#[serde(with = "super::serde_labels")] Labels);

    /// Writes a list of maps.
    pub fn serialize<S: Serializer>(list: &[Labels], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(list.iter().map(Borrowed))
    }

    /// Reads a list of maps.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Labels>, D::Error> {
        Ok(Vec::<Owned>::deserialize(deserializer)?.into_iter().map(|Owned(labels)| labels).collect())
    }
}

/// A float as text (`"1.5"`, `"NaN"`, `"+Inf"`), since JSON numbers cannot say the last two.
pub mod serde_float {
    use model::number::{FloatFormat, float_text, parse_float};
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    /// Writes Go's shortest text.
    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&float_text(*value, FloatFormat::General))
    }

    /// Reads what Go's `ParseFloat` reads.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_float(&text).map_err(|_| D::Error::custom(format_args!("{text:?} is not a number")))
    }
}

/// A map of names to floats, each as [`serde_float`].
pub mod serde_float_map {
    use std::collections::BTreeMap;

    use serde::de::{Deserialize, Deserializer};
    use serde::ser::Serializer;

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Float(#[serde(with = "super::serde_float")] f64);

    /// Writes a map of texts.
    pub fn serialize<S: Serializer>(map: &BTreeMap<String, f64>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(map.iter().map(|(name, value)| (name, Float(*value))))
    }

    /// Reads a map of texts.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, f64>, D::Error> {
        let map = BTreeMap::<String, Float>::deserialize(deserializer)?;
        Ok(map.into_iter().map(|(name, Float(value))| (name, value)).collect())
    }
}

/// A map of names to floats as numbers; what JSON cannot say (`NaN`, `+Inf`, `-Inf`) is text. Reads both.
pub mod serde_number_map {
    use std::collections::BTreeMap;

    use model::number::{FloatFormat, float_text};
    use serde::de::{Deserialize, Deserializer};
    use serde::ser::{Serialize, Serializer};

    struct Number(f64);

    impl Serialize for Number {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            if self.0.is_finite() {
                serializer.serialize_f64(self.0)
            } else {
                serializer.serialize_str(&float_text(self.0, FloatFormat::General))
            }
        }
    }

    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(f64),
        Text(#[serde(with = "super::serde_float")] f64),
    }

    /// Writes a map of numbers.
    pub fn serialize<S: Serializer>(map: &BTreeMap<String, f64>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(map.iter().map(|(name, value)| (name, Number(*value))))
    }

    /// Reads a map of numbers or texts.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, f64>, D::Error> {
        let map = BTreeMap::<String, Either>::deserialize(deserializer)?;
        let value = |either| match either {
            Either::Number(value) | Either::Text(value) => value,
        };
        Ok(map.into_iter().map(|(name, either)| (name, value(either))).collect())
    }
}

/// As [`null_default`] for a list; an item that is `null` is its type's default.
pub fn null_items<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + serde::Deserialize<'de>,
{
    let items: Vec<Option<T>> = null_default(deserializer)?;
    Ok(items.into_iter().map(Option::unwrap_or_default).collect())
}

/// As [`null_default`] for a map of texts; a value that is `null` is empty.
pub fn null_values<'de, D>(deserializer: D) -> Result<std::collections::BTreeMap<String, String>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    let map: std::collections::BTreeMap<String, Option<String>> = null_default(deserializer)?;
    Ok(map.into_iter().map(|(name, value)| (name, value.unwrap_or_default())).collect())
}

/// `null` where a value is wanted reads as the default, as Go's decoders do. For `#[serde(deserialize_with = …)]`.
pub fn null_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + serde::Deserialize<'de>,
{
    use serde::Deserialize;
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
