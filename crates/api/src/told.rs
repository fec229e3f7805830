//! How a plan tells what differs inside a job, from the same declarations that encode and decode it.
//!
//! The type of a field says what its value becomes: a field of the plan, an object, or one object for each entry. Where that is not
//! all, `#[plan(…)]` stands beside the field or its type. Which fields of jobs, groups and tasks are told at all, in which order and
//! with what they mean for allocations, stands where these are declared for servers (`drover_model::change`).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::schema::Property;
use crate::wire::{Base64, Wire};

/// What a plan makes of a value.
#[derive(Clone, Copy)]
pub enum Form {
    /// A field.
    Field,
    /// A field `Name[key]` for each key.
    Fields,
    /// An object with a field for each text.
    Texts,
    /// One object however deep it is, with fields like `key[inner][0]`.
    Flat,
    /// An object of its own.
    Object(&'static Shape),
    /// An object for each entry of a list.
    List(&'static Shape),
    /// An object for each key.
    Map(&'static Shape),
}

/// What a plan knows of a type's objects.
pub struct Shape {
    /// Their keys.
    pub properties: &'static [Property],
    /// Whether unchanged empty fields are told beside those that changed.
    pub with_empty: bool,
    /// Whether lists of texts are a field each.
    pub lists: bool,
    /// What entries of a list have in common when one is the other's next version; without it one goes and another comes.
    pub known_by: Option<&'static str>,
}

impl Shape {
    /// Nothing special.
    pub const PLAIN: Self = Self { properties: &[], with_empty: false, lists: false, known_by: None };
}

/// What a plan knows of a field beside its type.
#[derive(Debug)]
pub struct Telling {
    /// What its objects are called, if not as the field (without its last letter for each entry of a list).
    pub label: Option<&'static str>,
    /// It says nothing about what the job should do.
    pub untold: bool,
    /// One object, whatever the type says.
    pub flat: bool,
    /// Told beside what changed even if it did not.
    pub unchanged: bool,
    /// The only entry before is the only one after, whatever it is known by.
    pub alone: bool,
    /// What it is where the JSON leaves it out.
    pub default: Option<&'static str>,
    /// Its place among the objects inside another; those without one follow by name.
    pub position: usize,
    /// Fields of its objects that are not told here.
    pub without: &'static [&'static str],
}

impl Telling {
    /// Nothing special.
    pub const PLAIN: Self =
        Self { label: None, untold: false, flat: false, unchanged: false, alone: false, default: None, position: usize::MAX, without: &[] };
}

impl Property {
    /// What a plan makes of it.
    pub fn form(&self) -> Form {
        if self.telling.flat { Form::Flat } else { (self.form)() }
    }

    /// What a plan calls its objects.
    pub fn label(&self) -> &'static str {
        match self.form() {
            _ if let Some(label) = self.telling.label => label,
            Form::List(_) | Form::Map(_) => self.name.strip_suffix('s').unwrap_or(self.name),
            _ => self.name,
        }
    }
}

/// A type whose values plans can tell.
pub trait Told {
    /// What becomes of a value.
    fn form() -> Form;
}

macro_rules! fields {
    ($($plain:ty),*) => {$(impl Told for $plain { fn form() -> Form { Form::Field } })*};
}
fields!(i64, u64, f64, bool, String, Base64);

impl Told for Value {
    fn form() -> Form {
        Form::Flat
    }
}

impl<W: Wire> Told for W {
    fn form() -> Form {
        Form::Object(W::SHAPE)
    }
}

impl<T: Told> Told for Option<T> {
    fn form() -> Form {
        T::form()
    }
}

impl<T: Told> Told for Vec<T> {
    fn form() -> Form {
        match T::form() {
            Form::Field => Form::Texts,
            Form::Object(shape) => Form::List(shape),
            _ => Form::Flat,
        }
    }
}

impl<T: Told> Told for BTreeMap<String, T> {
    fn form() -> Form {
        match T::form() {
            Form::Field => Form::Fields,
            Form::Object(shape) => Form::Map(shape),
            _ => Form::Flat,
        }
    }
}
