//! Functions on lists, sets, tuples, maps and objects.

use std::sync::Arc;

use super::{Context, Outcome, numeric, string, whole};
use crate::hcl::number::Number;
use crate::hcl::value::{Members, Type, Value, unify};

/// Most elements that `range` makes.
const MAX_RANGE: usize = 1024;
/// Most elements that `setproduct` makes.
const MAX_PRODUCT: usize = 100_000;

fn element_type(list: &Value) -> Arc<Type> {
    match list {
        Value::List(element, _) | Value::Set(element, _) | Value::Map(element, _) => Arc::clone(element),
        _ => Arc::new(Type::Dynamic),
    }
}

fn needs(what: &str, value: &Value) -> String {
    format!("{what} is needed, not {}", value.outline().friendly())
}

pub(super) fn chunklist(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let elements = arguments[0].elements().unwrap_or(&[]);
    let size = usize::try_from(whole(&arguments[1])?).map_err(|_| "the size cannot be negative".to_owned())?;
    let element = element_type(&arguments[0]);
    let size = if size == 0 { elements.len().max(1) } else { size };
    let chunks = elements.chunks(size).map(|chunk| Value::List(Arc::clone(&element), chunk.into())).collect();
    Ok(Value::List(Arc::new(Type::List(element)), chunks))
}

pub(super) fn coalesce(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let kinds: Vec<Type> = arguments.iter().map(Value::kind).collect();
    let kind = unify(&kinds);
    // Beside a bare null, which may be of any type, only plain values are brought to one type.
    let free = kinds.contains(&Type::Dynamic) && !matches!(kind, Some(Type::Bool | Type::Number | Type::String));
    let kind = if free { Some(Type::Dynamic) } else { kind };
    let kind = kind.ok_or_else(|| "the arguments have no common type".to_owned())?;
    let first = arguments.iter().find(|argument| !argument.is_null()).ok_or_else(|| "all arguments are null".to_owned())?;
    first.convert(&kind)
}

pub(super) fn coalesce_list(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    if let Some(other) = arguments.iter().find(|argument| !matches!(argument, Value::List(..) | Value::Tuple(_))) {
        return Err(needs("a list or tuple", other));
    }
    let found = arguments.iter().find(|argument| argument.elements().is_some_and(|elements| !elements.is_empty()));
    found.cloned().ok_or_else(|| "all arguments are empty".to_owned())
}

pub(super) fn compact(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let elements = arguments[0].elements().unwrap_or(&[]).iter().filter(|element| element.as_str().is_some_and(|text| !text.is_empty()));
    Ok(Value::List(Arc::new(Type::String), elements.cloned().collect()))
}

pub(super) fn concat(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    if arguments.is_empty() {
        return Err("at least one list is needed".to_owned());
    }
    if let Some(other) = arguments.iter().find(|argument| !matches!(argument, Value::List(..) | Value::Tuple(_))) {
        return Err(needs("a list or tuple", other));
    }
    let elements = arguments.iter().flat_map(|argument| argument.elements().unwrap_or(&[]).iter().cloned());
    if arguments.iter().all(|argument| matches!(argument, Value::List(..))) {
        let kinds: Vec<Type> = arguments.iter().map(|argument| (*element_type(argument)).clone()).collect();
        if let Some(kind) = unify(&kinds) {
            let elements = elements.map(|element| element.convert(&kind)).collect::<Result<Vec<_>, _>>()?;
            return Ok(Value::List(Arc::new(kind), elements.into()));
        }
    }
    Ok(Value::tuple(elements.collect()))
}

pub(super) fn contains(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let elements = arguments[0].elements().ok_or_else(|| needs("a list, set or tuple", &arguments[0]))?;
    if arguments[1].is_null() {
        return Ok(Value::Unknown(Type::Dynamic));
    }
    Ok(Value::Bool(elements.iter().any(|element| element.equals(&arguments[1]) == Some(true))))
}

pub(super) fn distinct(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let mut kept: Vec<Value> = Vec::new();
    let mut seen: std::collections::BTreeSet<Ordered> = std::collections::BTreeSet::new();
    for element in arguments[0].elements().unwrap_or(&[]) {
        if seen.insert(Ordered(element.clone())) {
            kept.push(element.clone());
        }
    }
    Ok(Value::List(element_type(&arguments[0]), kept.into()))
}

/// A value in the order of sets.
struct Ordered(Value);

impl PartialEq for Ordered {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ordered {}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_order(&other.0)
    }
}

pub(super) fn element(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let (Value::List(_, elements) | Value::Tuple(elements)) = &arguments[0] else {
        return Err(needs("a list or tuple", &arguments[0]));
    };
    let index = whole(&arguments[1])?;
    if elements.is_empty() {
        return Err("the list is empty".to_owned());
    }
    Ok(elements[index.rem_euclid(elements.len() as i64) as usize].clone())
}

pub(super) fn flatten(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    fn inline(value: &Value, out: &mut Vec<Value>) {
        match value.elements() {
            Some(elements) => elements.iter().for_each(|element| inline(element, out)),
            None => out.push(value.clone()),
        }
    }
    if arguments[0].elements().is_none() {
        return Err(needs("a list, set or tuple", &arguments[0]));
    }
    let mut out = Vec::new();
    inline(&arguments[0], &mut out);
    Ok(Value::tuple(out))
}

pub(super) fn index(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    match &arguments[0] {
        Value::List(_, elements) | Value::Tuple(elements) => {
            let key = match (&arguments[0], &arguments[1]) {
                (Value::Tuple(_), Value::Number(_)) => arguments[1].clone(),
                (Value::Tuple(_), other) => return Err(needs("a number as the index of a tuple", other)),
                (_, other) => other.convert(&Type::Number)?,
            };
            let at = whole(&key)?;
            usize::try_from(at)
                .ok()
                .and_then(|at| elements.get(at).cloned())
                .ok_or_else(|| format!("there is no element {at}, the list has {}", elements.len()))
        }
        Value::Map(_, members) => {
            let key = arguments[1].convert(&Type::String)?;
            members.get(string(&key)).cloned().ok_or_else(|| format!("there is no element \"{}\"", string(&key)))
        }
        other => Err(needs("a list, tuple or map", other)),
    }
}

pub(super) fn keys(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    match &arguments[0] {
        Value::Map(_, members) => Ok(Value::strings(members.keys())),
        Value::Object(members) => Ok(Value::tuple(members.keys().map(|key| Value::String(Arc::clone(key))).collect())),
        other => Err(needs("a map or object", other)),
    }
}

pub(super) fn length(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    match &arguments[0] {
        Value::Map(_, members) => Ok(Value::int(members.len() as i64)),
        other => {
            other.elements().map(|elements| Value::int(elements.len() as i64)).ok_or_else(|| needs("a list, set, tuple or map", other))
        }
    }
}

pub(super) fn lookup(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let members = arguments[0].members().ok_or_else(|| needs("a map or object", &arguments[0]))?;
    let default = match &arguments[0] {
        Value::Map(element, _) => {
            arguments[2].convert(element).map_err(|problem| format!("the default does not fit the map: {problem}"))?
        }
        _ => arguments[2].clone(),
    };
    Ok(members.get(string(&arguments[1])).cloned().unwrap_or(default))
}

pub(super) fn merge(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let mut merged = Members::new();
    let kinds: Vec<Type> = arguments.iter().map(Value::kind).collect();
    for argument in arguments.iter().filter(|argument| !argument.is_null()) {
        let members = argument.members().ok_or_else(|| needs("a map or object", argument))?;
        merged.extend(members.iter().map(|(key, value)| (Arc::clone(key), value.clone())));
    }
    match kinds.first() {
        Some(Type::Map(element)) if kinds.iter().all(|kind| *kind == kinds[0]) => Ok(Value::Map(Arc::clone(element), Arc::new(merged))),
        _ => Ok(Value::object(merged)),
    }
}

pub(super) fn range(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let zero = Number::Int(0);
    let (start, end) = match arguments {
        [end] => (&zero, numeric(end)),
        [start, end] | [start, end, _] => (numeric(start), numeric(end)),
        _ => return Err("one to three numbers are needed".to_owned()),
    };
    let step = match arguments.get(2) {
        Some(step) => numeric(step).clone(),
        None => Number::Int(if end < start { -1 } else { 1 }),
    };
    let down = step.signum() < 0;
    if step.signum() == 0 && start != end || down && end > start || !down && end < start {
        return Err("the step does not lead from the start to the end".to_owned());
    }
    let mut numbers = Vec::new();
    let mut at = start.clone();
    while if down { at > *end } else { at < *end } {
        if numbers.len() >= MAX_RANGE {
            return Err(format!("more than {MAX_RANGE} numbers"));
        }
        let next = at.add(&step).ok_or_else(|| "the numbers are infinite".to_owned())?;
        numbers.push(Value::Number(std::mem::replace(&mut at, next)));
    }
    Ok(Value::List(Arc::new(Type::Number), numbers.into()))
}

/// All sets with one element type.
fn same_sets(arguments: &[Value]) -> Result<(Arc<Type>, Vec<Value>), String> {
    let kinds: Vec<Type> = arguments.iter().map(|argument| (*element_type(argument)).clone()).collect();
    let element = Arc::new(unify(&kinds).ok_or_else(|| "the sets have no common element type".to_owned())?);
    let wanted = Type::Set(Arc::clone(&element));
    let sets = arguments.iter().map(|argument| argument.convert(&wanted)).collect::<Result<_, _>>()?;
    Ok((element, sets))
}

pub(super) fn set_intersection(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let (element, sets) = same_sets(arguments)?;
    let kept = sets[0].elements().unwrap_or(&[]).iter().filter(|value| {
        sets[1..].iter().all(|set| set.elements().unwrap_or(&[]).binary_search_by(|other| other.total_order(value)).is_ok())
    });
    Ok(Value::set(element, kept.cloned().collect()))
}

pub(super) fn set_union(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let (element, sets) = same_sets(arguments)?;
    Ok(Value::set(element, sets.iter().flat_map(|set| set.elements().unwrap_or(&[]).iter().cloned()).collect()))
}

pub(super) fn set_product(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    if arguments.len() < 2 {
        return Err("at least two collections are needed".to_owned());
    }
    let wanted = Type::List(Arc::new(Type::Dynamic));
    let lists = arguments
        .iter()
        .map(
            |argument| if argument.elements().is_some() { argument.convert(&wanted) } else { Err(needs("a list, set or tuple", argument)) },
        )
        .collect::<Result<Vec<_>, _>>()?;
    let count = lists.iter().try_fold(1usize, |product, list| product.checked_mul(list.elements().map_or(0, <[Value]>::len)));
    if count.is_none_or(|count| count > MAX_PRODUCT) {
        return Err(format!("more than {MAX_PRODUCT} combinations"));
    }
    let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
    for list in &lists {
        let elements = list.elements().unwrap_or(&[]);
        rows = rows
            .iter()
            .flat_map(|row| elements.iter().map(move |element| row.iter().cloned().chain([element.clone()]).collect()))
            .collect();
    }
    let element = Arc::new(Type::Tuple(lists.iter().map(|list| (*element_type(list)).clone()).collect()));
    let rows: Vec<Value> = rows.into_iter().map(Value::tuple).collect();
    Ok(if arguments.iter().any(|argument| matches!(argument, Value::Set(..))) {
        Value::set(element, rows)
    } else {
        Value::List(element, rows.into())
    })
}

pub(super) fn slice(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let (Value::List(_, elements) | Value::Tuple(elements)) = &arguments[0] else {
        return Err(needs("a list or tuple", &arguments[0]));
    };
    let (start, end) = (whole(&arguments[1])?, whole(&arguments[2])?);
    if start < 0 || end > elements.len() as i64 || start > end {
        return Err(format!("there are no elements from {start} up to {end} in a list of {}", elements.len()));
    }
    let part = elements[start as usize..end as usize].into();
    Ok(match &arguments[0] {
        Value::List(element, _) => Value::List(Arc::clone(element), part),
        _ => Value::Tuple(part),
    })
}

pub(super) fn sort(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let mut elements = arguments[0].elements().unwrap_or(&[]).to_vec();
    if let Some(at) = elements.iter().position(Value::is_null) {
        return Err(format!("element {at} is null"));
    }
    elements.sort_by(Value::total_order);
    Ok(Value::List(Arc::new(Type::String), elements.into()))
}

pub(super) fn values(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    match &arguments[0] {
        Value::Map(element, members) => Ok(Value::List(Arc::clone(element), members.values().cloned().collect())),
        Value::Object(members) => Ok(Value::tuple(members.values().cloned().collect())),
        other => Err(needs("a map or object", other)),
    }
}

pub(super) fn zipmap(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let keys = arguments[0].elements().unwrap_or(&[]);
    let (Value::List(_, values) | Value::Tuple(values)) = &arguments[1] else {
        return Err(needs("a list or tuple of values", &arguments[1]));
    };
    if keys.len() != values.len() {
        return Err(format!("there are {} keys but {} values", keys.len(), values.len()));
    }
    let mut members = Members::new();
    for (at, (key, value)) in keys.iter().zip(values.iter()).enumerate() {
        let key = key.as_str().ok_or_else(|| format!("key {at} is null"))?;
        members.insert(Arc::from(key), value.clone());
    }
    Ok(match &arguments[1] {
        Value::List(element, _) => Value::Map(Arc::clone(element), Arc::new(members)),
        _ => Value::object(members),
    })
}
