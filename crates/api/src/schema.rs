//! The JSON schemas of the API's types, from the same declarations that encode and decode them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::told::{Form, Telling};
use crate::wire::{Base64, Wire};

/// One key of an object.
pub struct Property {
    /// The key.
    pub name: &'static str,
    /// What it means, in words.
    pub doc: &'static str,
    /// Whether an empty value is left out.
    pub omit_empty: bool,
    /// The schema of its value.
    pub schema: fn(&mut Definitions) -> Value,
    /// What a plan makes of its value.
    pub form: fn() -> Form,
    /// What else a plan knows of it.
    pub telling: &'static Telling,
}

/// A type with a JSON schema.
pub trait Schema {
    /// Its schema; objects are added to `all` and referred to.
    fn schema(all: &mut Definitions) -> Value;
}

/// The schemas of objects, each described once.
#[derive(Debug, Default)]
pub struct Definitions {
    begun: BTreeSet<&'static str>,
    known: BTreeMap<&'static str, Value>,
}

impl Definitions {
    /// The reference to an object's schema, which is described now if it was not before.
    pub fn object<W: Wire>(&mut self) -> Value {
        if self.begun.insert(W::TYPE_NAME) {
            let mut properties = Map::new();
            for property in W::PROPERTIES {
                let mut schema = (property.schema)(self);
                if !property.doc.is_empty()
                    && let Some(schema) = schema.as_object_mut()
                {
                    schema.insert("description".to_owned(), json!(property.doc));
                }
                properties.insert(property.name.to_owned(), schema);
            }
            let mut object = json!({ "type": "object", "properties": properties });
            if !W::DOC.is_empty() {
                object["description"] = json!(W::DOC);
            }
            self.known.insert(W::TYPE_NAME, object);
        }
        json!({ "$ref": format!("#/components/schemas/{}", W::TYPE_NAME) })
    }

    /// Every object that was described, by name.
    pub fn into_objects(self) -> Map<String, Value> {
        self.known.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
    }
}

/// The schema of a type, for tables of types.
pub fn schema<T: Schema>(all: &mut Definitions) -> Value {
    T::schema(all)
}

impl Schema for String {
    fn schema(_: &mut Definitions) -> Value {
        json!({ "type": "string" })
    }
}

impl Schema for i64 {
    fn schema(_: &mut Definitions) -> Value {
        json!({ "type": "integer", "format": "int64" })
    }
}

impl Schema for u64 {
    fn schema(_: &mut Definitions) -> Value {
        json!({ "type": "integer", "format": "uint64", "minimum": 0 })
    }
}

impl Schema for f64 {
    fn schema(_: &mut Definitions) -> Value {
        json!({ "type": "number", "format": "double" })
    }
}

impl Schema for bool {
    fn schema(_: &mut Definitions) -> Value {
        json!({ "type": "boolean" })
    }
}

impl Schema for Base64 {
    fn schema(_: &mut Definitions) -> Value {
        json!({ "type": "string", "contentEncoding": "base64" })
    }
}

/// Any JSON at all.
impl Schema for Value {
    fn schema(_: &mut Definitions) -> Value {
        json!({})
    }
}

impl<T: Schema> Schema for Vec<T> {
    fn schema(all: &mut Definitions) -> Value {
        json!({ "type": "array", "items": T::schema(all) })
    }
}

impl<T: Schema> Schema for BTreeMap<String, T> {
    fn schema(all: &mut Definitions) -> Value {
        json!({ "type": "object", "additionalProperties": T::schema(all) })
    }
}

/// Null stands for what is absent.
impl<T: Schema> Schema for Option<T> {
    fn schema(all: &mut Definitions) -> Value {
        let mut inner = T::schema(all);
        match inner.get("type").cloned() {
            Some(Value::String(kind)) => inner["type"] = json!([kind, "null"]),
            None if inner.get("$ref").is_some() => inner = json!({ "anyOf": [inner, { "type": "null" }] }),
            _ => {}
        }
        inner
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_described_once_with_all_they_refer_to() {
        let mut all = Definitions::default();
        assert_eq!(all.object::<crate::Job>(), json!({ "$ref": "#/components/schemas/Job" }));
        all.object::<crate::Job>();
        let objects = all.into_objects();
        assert_eq!(objects["Job"]["properties"]["Priority"]["type"], json!(["integer", "null"]));
        assert_eq!(objects["Job"]["properties"]["TaskGroups"]["items"], json!({ "$ref": "#/components/schemas/TaskGroup" }));
        assert!(objects.contains_key("ConsulGatewayProxy"));
        let text = serde_json::to_string(&objects).unwrap();
        for part in text.split("#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(objects.contains_key(name), "{name} is referred to and not described");
        }
    }
}
