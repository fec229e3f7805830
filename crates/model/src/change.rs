//! What a new version means for allocations of an earlier one, field by field.
//!
//! Every field of a group and of what it is made of says so beside its declaration (`#[change(…)]`), and a field that does not
//! stops the build. The scheduler decides by it whether an allocation is replaced; a plan tells and announces by it.

/// What a change means for an allocation that runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Nothing, or what somebody else decides.
    #[default]
    None,
    /// It goes on running and takes the change.
    InPlace,
    /// Another one takes its place.
    Replace,
}

/// How a plan tells a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Not at all, or not by itself.
    No,
    /// As a field.
    Field,
    /// As an object of its own, at this position.
    Object(usize),
}

/// What is known of a field.
#[derive(Clone, Copy, Debug)]
pub struct FieldChange {
    /// Its name in the API.
    pub name: &'static str,
    /// What a plan announces when it differs: more than what happens in places, as the records do.
    pub announced: Effect,
    /// How a plan tells it.
    pub told: Told,
}

/// A part of a job whose fields say what their changes mean.
pub trait Change {
    /// Every field.
    const FIELDS: &'static [FieldChange];

    /// What becoming `new` means: the strongest of what the fields say.
    fn effect(&self, new: &Self) -> Effect;
}

/// The fields that a plan tells as objects, in its order.
pub fn objects<T: Change>() -> Vec<&'static str> {
    let mut found: Vec<(usize, &str)> = T::FIELDS
        .iter()
        .filter_map(|field| match field.told {
            Told::Object(position) => Some((position, field.name)),
            Told::No | Told::Field => None,
        })
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(_, name)| name).collect()
}

/// The fields that a plan does not tell as fields.
pub fn not_fields<T: Change>() -> Vec<&'static str> {
    T::FIELDS.iter().filter(|field| field.told != Told::Field).map(|field| field.name).collect()
}

/// Lists whose entries belong together by position.
pub fn each<T: Change>(old: &[T], new: &[T]) -> Effect {
    if old.len() != new.len() {
        return Effect::Replace;
    }
    old.iter().zip(new).map(|(old, new)| old.effect(new)).max().unwrap_or_default()
}

/// The same, or the effect.
pub fn when<T: PartialEq>(old: &T, new: &T, effect: Effect) -> Effect {
    if old == new { Effect::None } else { effect }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NetworkResource, Task, TaskGroup};

    fn task(name: &str) -> Task {
        Task { name: name.to_owned(), driver: "exec".to_owned(), ..Task::default() }
    }

    #[test]
    fn the_strongest_effect_of_all_fields_counts() {
        let old = TaskGroup { tasks: vec![task("a"), task("b")], ..TaskGroup::default() };
        assert_eq!(old.effect(&old.clone()), Effect::None);
        let count = TaskGroup { count: 3, ..old.clone() };
        assert_eq!(old.effect(&count), Effect::InPlace);
        let mut driver = count.clone();
        driver.tasks[1].driver = "raw_exec".to_owned();
        assert_eq!(old.effect(&driver), Effect::Replace);
        let mut order = old.clone();
        order.tasks.reverse();
        assert_eq!(old.effect(&order), Effect::None, "tasks belong together by name");
        let network = TaskGroup { networks: vec![NetworkResource::default()], ..old.clone() };
        assert_eq!(old.effect(&network), Effect::Replace);
        let mut rotation = old.clone();
        rotation.tasks[0].log_config.max_files = 3;
        assert_eq!(old.effect(&rotation), Effect::InPlace);
        rotation.tasks[0].log_config.disabled = true;
        assert_eq!(old.effect(&rotation), Effect::Replace);
    }

    #[test]
    fn plans_tell_objects_in_their_order() {
        assert_eq!(&objects::<Task>()[..4], ["Constraints", "Affinities", "Config", "Resources"]);
        assert!(not_fields::<Task>().contains(&"RestartPolicy") && !not_fields::<Task>().contains(&"Env"));
    }
}
