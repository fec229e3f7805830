//! Values and types of the expression language, conversion between types, and JSON in and out.
//!
//! Collections (`list`, `set`, `map`) have one element type, structures (`tuple`, `object`) a type per member. Strings
//! are normalised to NFC when made. Cloning a value copies a pointer.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::number::Number;

/// Values are nested to this depth at most: twice as deep as texts.
const MAX_DEPTH: u32 = 200;

/// Members of maps and objects in key order.
pub type Members = BTreeMap<Arc<str>, Value>;

/// A type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// Not known, or anything: the type of a bare `null`, and `any` in a type expression.
    Dynamic,
    /// `bool`
    Bool,
    /// `number`
    Number,
    /// `string`
    String,
    /// `list(T)`
    List(Arc<Type>),
    /// `set(T)`
    Set(Arc<Type>),
    /// `map(T)`
    Map(Arc<Type>),
    /// `tuple([…])`
    Tuple(Arc<[Type]>),
    /// `object({…})`
    Object(Arc<BTreeMap<Arc<str>, Type>>),
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// No value, of a type.
    Null(Type),
    /// A value that cannot be known now.
    Unknown(Type),
    /// A truth value.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text in NFC.
    String(Arc<str>),
    /// A list with its element type.
    List(Arc<Type>, Arc<[Value]>),
    /// A set with its element type, sorted and without duplicates.
    Set(Arc<Type>, Arc<[Value]>),
    /// A map with its element type.
    Map(Arc<Type>, Arc<Members>),
    /// A tuple.
    Tuple(Arc<[Value]>),
    /// An object.
    Object(Arc<Members>),
}

impl Value {
    /// A bare null.
    pub const NULL: Self = Self::Null(Type::Dynamic);

    /// A string, normalised.
    pub fn string(text: impl AsRef<str>) -> Self {
        let text = text.as_ref();
        if text.is_ascii() || unicode_normalization::is_nfc(text) {
            return Self::String(Arc::from(text));
        }
        Self::String(unicode_normalization::UnicodeNormalization::nfc(text).collect::<String>().into())
    }

    /// A whole number.
    pub fn int(value: i64) -> Self {
        Self::Number(Number::Int(value))
    }

    /// A tuple of the members.
    pub fn tuple(members: Vec<Self>) -> Self {
        Self::Tuple(members.into())
    }

    /// An object of the members.
    pub fn object(members: Members) -> Self {
        Self::Object(Arc::new(members))
    }

    /// A list of strings.
    pub fn strings(texts: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        Self::List(Arc::new(Type::String), texts.into_iter().map(Self::string).collect())
    }

    /// A set of the members, which already have the element type.
    pub fn set(element: Arc<Type>, mut members: Vec<Self>) -> Self {
        members.sort_by(Self::total_order);
        members.dedup();
        Self::Set(element, members.into())
    }

    /// The type.
    pub fn kind(&self) -> Type {
        match self {
            Self::Null(kind) | Self::Unknown(kind) => kind.clone(),
            Self::Bool(_) => Type::Bool,
            Self::Number(_) => Type::Number,
            Self::String(_) => Type::String,
            Self::List(element, _) => Type::List(Arc::clone(element)),
            Self::Set(element, _) => Type::Set(Arc::clone(element)),
            Self::Map(element, _) => Type::Map(Arc::clone(element)),
            Self::Tuple(members) => Type::Tuple(members.iter().map(Self::kind).collect()),
            Self::Object(members) => Type::Object(Arc::new(members.iter().map(|(key, value)| (Arc::clone(key), value.kind())).collect())),
        }
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null(_))
    }

    /// Whether it, or anything inside, cannot be known.
    pub fn has_unknown(&self) -> bool {
        match self {
            Self::Unknown(_) => true,
            Self::List(_, members) | Self::Set(_, members) | Self::Tuple(members) => members.iter().any(Self::has_unknown),
            Self::Map(_, members) | Self::Object(members) => members.values().any(Self::has_unknown),
            _ => false,
        }
    }

    /// How much there is to look at: one for every value inside, and more for long texts; not more than `limit`, and the limit for what
    /// is nested too deeply to be looked at. What is shared is counted wherever it stands, as any walk through the value finds it.
    pub fn weight_within(&self, limit: u64) -> u64 {
        fn add(value: &Value, limit: u64, depth: u32, total: &mut u64) {
            if *total >= limit {
                return;
            }
            *total = if depth > MAX_DEPTH { limit } else { *total + 1 };
            match value {
                Value::String(text) => *total += text.len() as u64 / 16,
                Value::List(_, members) | Value::Set(_, members) | Value::Tuple(members) => {
                    members.iter().for_each(|member| add(member, limit, depth + 1, total));
                }
                Value::Map(_, members) | Value::Object(members) => {
                    members.values().for_each(|member| add(member, limit, depth + 1, total));
                }
                _ => {}
            }
        }
        let mut total = 0;
        add(self, limit, 0, &mut total);
        total.min(limit)
    }

    /// The type without what tuples and objects are made of: enough for messages, and never long.
    pub fn outline(&self) -> Type {
        match self {
            Self::Tuple(_) => Type::Tuple(Arc::from([])),
            Self::Object(_) => Type::Object(Arc::default()),
            _ => self.kind(),
        }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The members of a list, set or tuple.
    pub fn elements(&self) -> Option<&[Self]> {
        match self {
            Self::List(_, members) | Self::Set(_, members) | Self::Tuple(members) => Some(members),
            _ => None,
        }
    }

    /// The members of a map or object.
    pub fn members(&self) -> Option<&Members> {
        match self {
            Self::Map(_, members) | Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// Keys and values as iteration sees them: positions for lists and tuples, the element itself for sets.
    pub fn entries(&self) -> Option<Vec<(Self, Self)>> {
        match self {
            Self::List(_, members) | Self::Tuple(members) => {
                Some(members.iter().enumerate().map(|(at, value)| (Self::int(at as i64), value.clone())).collect())
            }
            Self::Set(_, members) => Some(members.iter().map(|value| (value.clone(), value.clone())).collect()),
            Self::Map(_, members) | Self::Object(members) => {
                Some(members.iter().map(|(key, value)| (Self::String(Arc::clone(key)), value.clone())).collect())
            }
            _ => None,
        }
    }

    /// The order in which sets keep their members: by value, null and unknown last.
    pub fn total_order(&self, other: &Self) -> Ordering {
        fn rank(value: &Value) -> u8 {
            match value {
                Value::Bool(_) => 0,
                Value::Number(_) => 1,
                Value::String(_) => 2,
                Value::List(..) => 3,
                Value::Set(..) => 4,
                Value::Tuple(_) => 5,
                Value::Map(..) => 6,
                Value::Object(_) => 7,
                Value::Null(_) => 8,
                Value::Unknown(_) => 9,
            }
        }
        fn all(a: &[Value], b: &[Value]) -> Ordering {
            a.iter().zip(b).map(|(x, y)| x.total_order(y)).find(|order| order.is_ne()).unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.cmp(b),
            (Self::String(a), Self::String(b)) => a.cmp(b),
            (Self::List(_, a), Self::List(_, b)) | (Self::Set(_, a), Self::Set(_, b)) | (Self::Tuple(a), Self::Tuple(b)) => all(a, b),
            (Self::Map(_, a), Self::Map(_, b)) | (Self::Object(a), Self::Object(b)) => a
                .iter()
                .zip(b.iter())
                .map(|((k, x), (l, y))| k.cmp(l).then_with(|| x.total_order(y)))
                .find(|order| order.is_ne())
                .unwrap_or_else(|| a.len().cmp(&b.len())),
            _ => rank(self).cmp(&rank(other)),
        }
    }

    /// Equality of the language: types must agree, nulls are equal to each other; `None` when it cannot be known.
    pub fn equals(&self, other: &Self) -> Option<bool> {
        match (self, other) {
            (Self::Null(_), Self::Null(_)) => Some(true),
            (Self::Null(_), _) | (_, Self::Null(_)) => Some(false),
            _ if self.has_unknown() || other.has_unknown() => None,
            _ => Some(self == other),
        }
    }

    /// The value as `wanted`, or what is needed instead.
    pub fn convert(&self, wanted: &Type) -> Result<Self, String> {
        match (self, wanted) {
            (_, Type::Dynamic) => Ok(self.clone()),
            (Self::Null(kind), _) => {
                if *kind == Type::Dynamic || convertible(kind, wanted) {
                    Ok(Self::Null(wanted.clone()))
                } else {
                    Err(mismatch(wanted, kind))
                }
            }
            (Self::Unknown(_), _) => Ok(Self::Unknown(wanted.clone())),
            (Self::Bool(_), Type::Bool) | (Self::Number(_), Type::Number) | (Self::String(_), Type::String) => Ok(self.clone()),
            (Self::Bool(value), Type::String) => Ok(Self::String(if *value { "true" } else { "false" }.into())),
            (Self::Number(value), Type::String) => Ok(Self::String(value.to_string().into())),
            (Self::String(text), Type::Number) => Number::parse(text).map(Self::Number).ok_or_else(|| "a number is required".to_owned()),
            (Self::String(text), Type::Bool) => match &**text {
                "true" | "1" => Ok(Self::Bool(true)),
                "false" | "0" => Ok(Self::Bool(false)),
                _ => Err("a bool is required".to_owned()),
            },
            (Self::List(..) | Self::Set(..) | Self::Tuple(_), Type::List(element) | Type::Set(element)) => {
                let members = self.elements().unwrap_or(&[]);
                let element = if **element == Type::Dynamic {
                    let own = match self {
                        Self::List(own, _) | Self::Set(own, _) => Some((**own).clone()),
                        _ => unify(&members.iter().map(Self::kind).collect::<Vec<_>>()),
                    };
                    Arc::new(own.ok_or_else(|| "all elements must have the same type".to_owned())?)
                } else {
                    Arc::clone(element)
                };
                // Without elements the types decide.
                if let Self::List(own, _) | Self::Set(own, _) = self
                    && members.is_empty()
                    && !convertible(own, &element)
                {
                    return Err(format!("incorrect element type: {}", mismatch(&element, own)));
                }
                let members = members
                    .iter()
                    .enumerate()
                    .map(|(at, member)| member.convert(&element).map_err(|problem| format!("element {at}: {problem}")))
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(match wanted {
                    Type::Set(_) => Self::set(element, members),
                    _ => Self::List(element, members.into()),
                })
            }
            (Self::Tuple(members), Type::Tuple(kinds)) => {
                if members.len() != kinds.len() {
                    return Err(format!("tuple of {} elements required, but have {}", kinds.len(), members.len()));
                }
                let members = members
                    .iter()
                    .zip(kinds.iter())
                    .enumerate()
                    .map(|(at, (member, kind))| member.convert(kind).map_err(|problem| format!("element {at}: {problem}")))
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(Self::tuple(members))
            }
            (Self::Map(..) | Self::Object(_), Type::Map(element)) => {
                let members = self.members().expect("maps and objects have members");
                let element = if **element == Type::Dynamic {
                    let own = match self {
                        Self::Map(own, _) => Some((**own).clone()),
                        _ => unify(&members.values().map(Self::kind).collect::<Vec<_>>()),
                    };
                    Arc::new(own.ok_or_else(|| "all elements must have the same type".to_owned())?)
                } else {
                    Arc::clone(element)
                };
                let members = members
                    .iter()
                    .map(|(key, member)| match member.convert(&element) {
                        Ok(member) => Ok((Arc::clone(key), member)),
                        Err(problem) => Err(format!("element \"{key}\": {problem}")),
                    })
                    .collect::<Result<_, _>>()?;
                Ok(Self::Map(element, Arc::new(members)))
            }
            (Self::Map(..) | Self::Object(_), Type::Object(kinds)) => {
                let members = self.members().expect("maps and objects have members");
                let members = kinds
                    .iter()
                    .map(|(key, kind)| match members.get(key) {
                        None => Err(format!("attribute \"{key}\" is required")),
                        Some(member) => match member.convert(kind) {
                            Ok(member) => Ok((Arc::clone(key), member)),
                            Err(problem) => Err(format!("attribute \"{key}\": {problem}")),
                        },
                    })
                    .collect::<Result<_, _>>()?;
                Ok(Self::object(members))
            }
            _ => Err(mismatch(wanted, &self.outline())),
        }
    }

    /// The keys that lead to the part of the value that keeps the whole from becoming `wanted`; none when it is the whole.
    pub fn misfit(&self, wanted: &Type) -> Vec<Self> {
        let mut path = Vec::new();
        let (mut value, mut wanted) = (self, wanted);
        // Each turn goes one level down in a value, and values are nested to a bounded depth.
        while let Some((key, inner, kind)) = value.misfitting_member(wanted) {
            path.push(key);
            (value, wanted) = (inner, kind);
        }
        path
    }

    fn misfitting_member<'a>(&'a self, wanted: &'a Type) -> Option<(Self, &'a Self, &'a Type)> {
        let misfits = |member: &&Self, kind: &Type| *kind != Type::Dynamic && member.convert(kind).is_err();
        let number = |at: usize| Self::Number(Number::from_bigint(&at.into()));
        match wanted {
            Type::List(kind) | Type::Set(kind) => {
                let (at, member) = self.elements()?.iter().enumerate().find(|(_, member)| misfits(member, kind))?;
                Some((number(at), member, kind))
            }
            Type::Tuple(kinds) if self.elements()?.len() == kinds.len() => {
                let mut pairs = self.elements()?.iter().zip(kinds.iter()).enumerate();
                let (at, (member, kind)) = pairs.find(|(_, (member, kind))| misfits(member, kind))?;
                Some((number(at), member, kind))
            }
            Type::Map(kind) => {
                let (key, member) = self.members()?.iter().find(|(_, member)| misfits(member, kind))?;
                Some((Self::String(Arc::clone(key)), member, kind))
            }
            Type::Object(kinds) => {
                let members = self.members()?;
                if kinds.keys().any(|key| !members.contains_key(key)) {
                    return None;
                }
                let (key, kind) = kinds.iter().find(|(key, kind)| members.get(*key).is_some_and(|member| misfits(&member, kind)))?;
                Some((Self::String(Arc::clone(key)), members.get(key)?, kind))
            }
            _ => None,
        }
    }

    /// The value as JSON text with sorted keys, numbers in plain decimals and `<`, `>`, `&` escaped.
    pub fn to_json_text(&self) -> Result<String, String> {
        let mut out = String::new();
        self.write_json(&mut out)?;
        Ok(out)
    }

    fn write_json(&self, out: &mut String) -> Result<(), String> {
        match self {
            Self::Null(_) => out.push_str("null"),
            Self::Unknown(_) => return Err("a value is not known yet".to_owned()),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(value) if value.is_infinite() => return Err("an infinity has no JSON form".to_owned()),
            Self::Number(value) => out.push_str(&value.to_string()),
            Self::String(text) => write_json_string(text, out),
            Self::List(_, members) | Self::Set(_, members) | Self::Tuple(members) => {
                out.push('[');
                for (at, member) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    member.write_json(out)?;
                }
                out.push(']');
            }
            Self::Map(_, members) | Self::Object(members) => {
                out.push('{');
                for (at, (key, member)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    write_json_string(key, out);
                    out.push(':');
                    member.write_json(out)?;
                }
                out.push('}');
            }
        }
        Ok(())
    }
}

fn write_json_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => out.push_str(&format!("\\u{:04x}", c as u32)),
            _ => out.push(c),
        }
    }
    out.push('"');
}

fn convertible(from: &Type, to: &Type) -> bool {
    match (from, to) {
        (Type::Dynamic, _) | (_, Type::Dynamic) => true,
        (Type::Number | Type::Bool | Type::String, Type::String) | (Type::String, Type::Number | Type::Bool) => true,
        (Type::List(a) | Type::Set(a), Type::List(b) | Type::Set(b)) | (Type::Map(a), Type::Map(b)) => convertible(a, b),
        (Type::Tuple(members), Type::List(b) | Type::Set(b)) => members.iter().all(|member| convertible(member, b)),
        (Type::Object(members), Type::Map(b)) => members.values().all(|member| convertible(member, b)),
        _ => from == to,
    }
}

/// What is needed in place of a value of type `have`.
pub fn mismatch(wanted: &Type, have: &Type) -> String {
    format!("{} required, but have {}", wanted.friendly(), have.friendly())
}

/// The one type that values of all `kinds` convert to; a dynamic type says nothing unless all are dynamic.
pub fn unify(kinds: &[Type]) -> Option<Type> {
    let mut known = kinds.iter().filter(|kind| **kind != Type::Dynamic);
    let Some(first) = known.next() else { return Some(Type::Dynamic) };
    let rest: Vec<&Type> = known.collect();
    if rest.iter().all(|kind| *kind == first) {
        return Some(first.clone());
    }
    let all: Vec<&Type> = std::iter::once(first).chain(rest).collect();
    let primitive = |kind: &&Type| matches!(kind, Type::Bool | Type::Number | Type::String);
    if all.iter().all(primitive) {
        return all.contains(&&Type::String).then_some(Type::String);
    }
    if all.iter().all(|kind| matches!(kind, Type::Tuple(_) | Type::List(_) | Type::Set(_))) {
        if let Type::Tuple(members) = first
            && all.iter().all(|kind| matches!(kind, Type::Tuple(other) if other.len() == members.len()))
        {
            let columns: Option<Vec<Type>> = (0..members.len())
                .map(|at| {
                    let column: Vec<Type> = all
                        .iter()
                        .filter_map(|kind| if let Type::Tuple(members) = kind { members.get(at).cloned() } else { None })
                        .collect();
                    unify(&column)
                })
                .collect();
            if let Some(columns) = columns {
                return Some(Type::Tuple(columns.into()));
            }
        }
        let lists: Vec<Type> =
            all.iter().filter_map(|kind| if let Type::List(element) = kind { Some((**element).clone()) } else { None }).collect();
        let sets = all.iter().any(|kind| matches!(kind, Type::Set(_)));
        // Between lists and sets the lists decide, the type of the elements as well.
        if sets && !lists.is_empty() {
            return Some(Type::List(Arc::new(unify(&lists)?)));
        }
        let mut elements = Vec::new();
        for kind in &all {
            match kind {
                Type::Tuple(members) => elements.extend(members.iter().cloned()),
                Type::List(element) | Type::Set(element) => elements.push((**element).clone()),
                _ => {}
            }
        }
        let element = Arc::new(unify(&elements)?);
        return Some(if sets { Type::Set(element) } else { Type::List(element) });
    }
    if all.iter().all(|kind| matches!(kind, Type::Object(_) | Type::Map(_))) {
        if let Type::Object(members) = first
            && all.iter().all(|kind| matches!(kind, Type::Object(other) if other.keys().eq(members.keys())))
        {
            let columns: Option<BTreeMap<Arc<str>, Type>> = members
                .keys()
                .map(|key| {
                    let column: Vec<Type> = all
                        .iter()
                        .filter_map(|kind| if let Type::Object(members) = kind { members.get(key).cloned() } else { None })
                        .collect();
                    Some((Arc::clone(key), unify(&column)?))
                })
                .collect();
            if let Some(columns) = columns {
                return Some(Type::Object(Arc::new(columns)));
            }
        }
        let mut elements = Vec::new();
        for kind in &all {
            match kind {
                Type::Object(members) => elements.extend(members.values().cloned()),
                Type::Map(element) => elements.push((**element).clone()),
                _ => {}
            }
        }
        return Some(Type::Map(Arc::new(unify(&elements)?)));
    }
    None
}

impl Type {
    /// The type in a few words, for messages.
    pub fn friendly(&self) -> String {
        match self {
            Self::Dynamic => "dynamic".to_owned(),
            Self::Bool => "bool".to_owned(),
            Self::Number => "number".to_owned(),
            Self::String => "string".to_owned(),
            Self::List(element) => format!("list of {}", element.element_words()),
            Self::Set(element) => format!("set of {}", element.element_words()),
            Self::Map(element) => format!("map of {}", element.element_words()),
            Self::Tuple(_) => "tuple".to_owned(),
            Self::Object(_) => "object".to_owned(),
        }
    }

    fn element_words(&self) -> String {
        if *self == Self::Dynamic { "any single type".to_owned() } else { self.friendly() }
    }

    /// Whether `any` occurs in it.
    pub fn has_dynamic(&self) -> bool {
        match self {
            Self::Dynamic => true,
            Self::List(element) | Self::Set(element) | Self::Map(element) => element.has_dynamic(),
            Self::Tuple(members) => members.iter().any(Self::has_dynamic),
            Self::Object(members) => members.values().any(Self::has_dynamic),
            Self::Bool | Self::Number | Self::String => false,
        }
    }
}

/// The type as a type expression.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dynamic => f.write_str("any"),
            Self::Bool => f.write_str("bool"),
            Self::Number => f.write_str("number"),
            Self::String => f.write_str("string"),
            Self::List(element) => write!(f, "list({element})"),
            Self::Set(element) => write!(f, "set({element})"),
            Self::Map(element) => write!(f, "map({element})"),
            Self::Tuple(members) => {
                f.write_str("tuple([")?;
                for (at, member) in members.iter().enumerate() {
                    write!(f, "{}{member}", if at > 0 { "," } else { "" })?;
                }
                f.write_str("])")
            }
            Self::Object(members) => {
                f.write_str("object({")?;
                for (at, (key, member)) in members.iter().enumerate() {
                    let comma = if at > 0 { "," } else { "" };
                    if is_identifier(key) {
                        write!(f, "{comma}{key}={member}")?;
                    } else {
                        write!(f, "{comma}{key:?}={member}")?;
                    }
                }
                f.write_str("})")
            }
        }
    }
}

/// Whether `c` may start an identifier.
pub fn is_identifier_start(c: char) -> bool {
    c == '_' || if c.is_ascii() { c.is_ascii_alphabetic() } else { c.is_alphabetic() }
}

/// Whether `c` may continue an identifier.
pub fn is_identifier_part(c: char) -> bool {
    c == '-'
        || c == '_'
        || if c.is_ascii() { c.is_ascii_alphanumeric() } else { c.is_alphanumeric() || ('\u{300}'..='\u{36f}').contains(&c) }
}

/// Whether the text is one identifier.
pub fn is_identifier(text: &str) -> bool {
    text.chars().next().is_some_and(is_identifier_start) && text.chars().all(is_identifier_part)
}

impl From<&serde_json::Value> for Value {
    /// The value that a JSON text stands for: arrays become tuples, objects objects.
    fn from(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::NULL,
            serde_json::Value::Bool(value) => Self::Bool(*value),
            serde_json::Value::Number(value) => Self::Number(Number::parse(&value.to_string()).unwrap_or(Number::Int(0))),
            serde_json::Value::String(text) => Self::string(text),
            serde_json::Value::Array(members) => Self::tuple(members.iter().map(Self::from).collect()),
            serde_json::Value::Object(members) => {
                Self::object(members.iter().map(|(key, value)| (Arc::from(key.as_str()), Self::from(value))).collect())
            }
        }
    }
}
