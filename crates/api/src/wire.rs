//! What the `Wire` derive stands on: key matching, emptiness, and the few scalar types with a form of their own.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use crate::schema::Property;
use crate::told::Shape;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeSeed, Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// A type of the public JSON contract.
pub trait Wire: Serialize + for<'de> Deserialize<'de> {
    /// The type's name in the contract.
    const TYPE_NAME: &'static str;
    /// The JSON keys in the order sent.
    const FIELDS: &'static [&'static str];
    /// What the type is, in words.
    const DOC: &'static str;
    /// The keys with their meanings and schemas.
    const PROPERTIES: &'static [Property];
    /// How a plan tells its objects.
    const SHAPE: &'static Shape;
}

/// Whether a value is left out by types that drop empty fields: zero, false, "", null, `[]`, `{}`.
pub trait Empty {
    /// Whether this is the empty value.
    fn is_empty(&self) -> bool;
}

macro_rules! empty_numbers {
    ($($number:ty),*) => {$(impl Empty for $number { fn is_empty(&self) -> bool { *self == <$number>::default() } })*};
}
empty_numbers!(i64, u64, f64, bool);

impl Empty for String {
    fn is_empty(&self) -> bool {
        String::is_empty(self)
    }
}

/// Null is empty, and so is what null may stand for: an empty list or map. A present scalar or object is not.
impl<T: EmptyInside> Empty for Option<T> {
    fn is_empty(&self) -> bool {
        self.as_ref().is_none_or(EmptyInside::is_empty_inside)
    }
}

/// Whether a present optional value is nevertheless left out.
pub trait EmptyInside {
    /// True for empty lists and maps only.
    fn is_empty_inside(&self) -> bool {
        false
    }
}
impl EmptyInside for i64 {}
impl EmptyInside for u64 {}
impl EmptyInside for f64 {}
impl EmptyInside for bool {}
impl EmptyInside for String {}
impl EmptyInside for serde_json::Value {}
impl<W: Wire> EmptyInside for W {}

impl<T> EmptyInside for Vec<T> {
    fn is_empty_inside(&self) -> bool {
        self.is_empty()
    }
}
impl<V> EmptyInside for BTreeMap<String, V> {
    fn is_empty_inside(&self) -> bool {
        self.is_empty()
    }
}
impl<T> Empty for Vec<T> {
    fn is_empty(&self) -> bool {
        Self::is_empty(self)
    }
}
impl<V> Empty for BTreeMap<String, V> {
    fn is_empty(&self) -> bool {
        Self::is_empty(self)
    }
}
impl Empty for serde_json::Value {
    fn is_empty(&self) -> bool {
        self.is_null()
    }
}
impl EmptyInside for Base64 {
    fn is_empty_inside(&self) -> bool {
        self.0.is_empty()
    }
}
impl Empty for Base64 {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

thread_local! {
    static EVERY_FIELD: Cell<bool> = const { Cell::new(false) };
}

/// Runs `encode` with empty fields kept, as client libraries write objects; servers leave them out where types say so.
pub fn with_every_field<R>(encode: impl FnOnce() -> R) -> R {
    let before = EVERY_FIELD.replace(true);
    let result = encode();
    EVERY_FIELD.set(before);
    result
}

/// Whether empty fields are kept by the encoding that is under way on this thread.
pub fn every_field() -> bool {
    EVERY_FIELD.get()
}

/// Bytes, shown in standard base64 with padding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Base64(pub Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text.as_bytes()).map(Self).map_err(|error| D::Error::custom(format!("base64: {error}")))
    }
}

/// Finds a JSON key among a type's fields: the exact name first, then any case.
pub struct FieldKey(pub &'static [&'static str]);

impl<'de> DeserializeSeed<'de> for FieldKey {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for FieldKey {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|name| *name == key).or_else(|| self.0.iter().position(|name| name.eq_ignore_ascii_case(key))))
    }
}

#[cfg(test)]
mod tests {
    use crate::{Allocation, Job, Port};

    #[test]
    fn keys_match_in_any_case_and_the_last_duplicate_wins() {
        let job: Job = serde_json::from_str(r#"{"id":"a","ID":"b","unknown":[1],"taskgroups":[{"name":"g"}]}"#).unwrap();
        assert_eq!(job.id.as_deref(), Some("b"));
        assert_eq!(job.task_groups.unwrap()[0].name.as_deref(), Some("g"));
    }

    #[test]
    fn null_is_the_zero_value() {
        let port: Port = serde_json::from_str(r#"{"Label":null,"Value":8080}"#).unwrap();
        assert_eq!((port.label.as_str(), port.value), ("", 8080));
    }

    #[test]
    fn a_wrong_type_names_the_place() {
        let error = serde_json::from_str::<Job>(r#"{"Priority":"high"}"#).unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error}");
    }

    #[test]
    fn whole_types_drop_empty_fields() {
        let alloc = Allocation { id: "x".into(), preempted_allocations: Some(vec![]), ..Allocation::default() };
        assert_eq!(serde_json::to_string(&alloc).unwrap(), r#"{"ID":"x"}"#);
    }

    #[test]
    fn other_types_send_every_field_in_order() {
        let text = serde_json::to_string(&crate::Constraint { l_target: "a".into(), ..Default::default() }).unwrap();
        assert_eq!(text, r#"{"LTarget":"a","RTarget":"","Operand":""}"#);
    }
}
