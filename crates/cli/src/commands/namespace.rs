//! `namespace apply|delete|inspect|list|status`.

use std::path::Path;

use drover_api::Namespace;
use drover_lang::specs::Specification;
use serde_json::Value;

use super::node_pool::{decoded, input, specification};
use crate::command::{Attempt, Context, Failure, Outcome};
use crate::flags::Flag;
use crate::row;
use crate::sdk::{Client, Query, segment};
use crate::text::{pairs, table};

pub(super) const LIST_FLAGS: &[Flag] = &[super::JSON, super::TEMPLATE];
pub(super) const INSPECT_FLAGS: &[Flag] = &[super::TEMPLATE];
pub(super) const APPLY_FLAGS: &[Flag] = &[
    Flag::value("description", "text", "What the namespace is for."),
    Flag::value("quota", "name", "The quota of the namespace."),
    Flag::switch("json", "The file is JSON."),
];

fn or_none(text: &str) -> &str {
    if text.is_empty() { "<none>" } else { text }
}

/// What clients of the API know of a namespace: they know no digest.
fn known(mut value: Value) -> Value {
    let each = |value: &mut Value| value.as_object_mut().map(|fields| fields.remove("Hash"));
    match &mut value {
        Value::Array(values) => values.iter_mut().for_each(|value| drop(each(value))),
        one => drop(each(one)),
    }
    value
}

pub(super) async fn list(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    context.one_format()?;
    let client = context.client()?;
    let found = client.get::<Value>("/v1/namespaces", &Query::new()).await.attempt("Error retrieving namespaces")?.value;
    if context.formatted() {
        return context.print_formatted(&known(found));
    }
    let namespaces: Vec<Namespace> = decoded(found, "Error retrieving namespaces")?;
    if namespaces.is_empty() {
        context.ui.output("No namespaces found");
        return Ok(0);
    }
    let mut rows = vec![row!["Name", "Description"]];
    rows.extend(namespaces.iter().map(|namespace| row![namespace.name, or_none(&namespace.description)]));
    context.ui.output(table(&rows));
    Ok(0)
}

/// Finds a namespace by name or prefix.
async fn found(client: &Client, given: &str) -> Result<Value, Failure> {
    let attempt = "Error retrieving namespaces";
    let found = client.get::<Vec<Value>>("/v1/namespaces", &Query::new().set("prefix", given)).await.attempt(attempt)?.value;
    let name = |namespace: &Value| namespace["Name"].as_str().unwrap_or_default().to_owned();
    if let Some(exact) = found.iter().find(|namespace| name(namespace) == given) {
        return Ok(exact.clone());
    }
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Failure::new(format!("{attempt}: Namespace {given:?} matched no namespaces"))),
        several => {
            let mut rows = vec![row!["Name", "Description"]];
            rows.extend(several.iter().map(|one| row![name(one), or_none(one["Description"].as_str().unwrap_or_default())]));
            Err(Failure::new(format!("Prefix matched multiple namespaces\n\n{}", table(&rows))))
        }
    }
}

pub(super) async fn inspect(context: &mut Context) -> Outcome {
    let given = context.one_argument("<namespace>")?;
    let client = context.client()?;
    let value = known(found(&client, &given).await?);
    context.print_formatted(&value)
}

pub(super) async fn status(context: &mut Context) -> Outcome {
    let given = context.one_argument("<namespace>")?;
    context.one_format()?;
    let client = context.client()?;
    let value = known(found(&client, &given).await?);
    if context.formatted() {
        return context.print_formatted(&value);
    }
    let namespace: Namespace = decoded(value, "Error retrieving namespaces")?;
    let capabilities = namespace.capabilities.unwrap_or_default();
    let listed = |names: Option<Vec<String>>, empty: &str| match names {
        Some(names) if !names.is_empty() => names.join(","),
        _ => empty.to_owned(),
    };
    context.ui.output(pairs(&[
        ("Name", namespace.name),
        ("Description", or_none(&namespace.description).to_owned()),
        ("Quota", or_none(&namespace.quota).to_owned()),
        ("Enabled Drivers", listed(capabilities.enabled_task_drivers, "*")),
        ("Disabled Drivers", listed(capabilities.disabled_task_drivers, "<none>")),
        ("Enabled Network Modes", listed(capabilities.enabled_network_modes, "*")),
        ("Disabled Network Modes", listed(capabilities.disabled_network_modes, "<none>")),
    ]));
    let meta = namespace.meta.unwrap_or_default();
    if !meta.is_empty() {
        context.ui.output(format!("\n{}", context.title("Metadata")));
        context.ui.output(pairs(&meta.iter().collect::<Vec<_>>()));
    }
    Ok(0)
}

fn read(context: &Context, path: &str) -> Result<Namespace, Failure> {
    let text = input(context, path)?;
    let wrong = |reason: String| Failure::new(format!("Failed to parse input content: {reason}"));
    if context.flags.on("json") {
        return serde_json::from_str(&text).map_err(|error| wrong(error.to_string()));
    }
    specification(context, Specification::Namespace, path, text)
}

/// The namespace as it is, or a new one, with what the flags say.
async fn changed(context: &Context, client: &Client, name: &str) -> Result<Namespace, Failure> {
    let attempt = "Error looking up namespace";
    let mut namespace = match client.get::<Value>(&format!("/v1/namespace/{}", segment(name)), &Query::new()).await {
        Ok(answer) => decoded(answer.value, attempt)?,
        Err(error) if error.is_code(404) => Namespace { name: name.to_owned(), ..Namespace::default() },
        Err(error) => return Err(error).attempt(attempt),
    };
    if let Some(description) = context.flags.text("description") {
        namespace.description = description.to_owned();
    }
    if let Some(quota) = context.flags.text("quota") {
        namespace.quota = quota.to_owned();
    }
    Ok(namespace)
}

pub(super) async fn apply(context: &mut Context) -> Outcome {
    let given = context.one_argument("<input>")?;
    let client = context.client()?;
    let namespace = if given == "-" || Path::new(&given).is_file() {
        if context.flags.text("description").is_some() || context.flags.text("quota").is_some() {
            context.ui.warn("Flags are ignored when a file is specified!");
        }
        read(context, &given)?
    } else {
        changed(context, &client, &given).await?
    };
    client.put::<_, Value>("/v1/namespace", &Query::new(), &namespace).await.attempt("Error applying namespace")?;
    context.ui.output(format!("Successfully applied namespace {:?}!", namespace.name));
    Ok(0)
}

pub(super) async fn delete(context: &mut Context) -> Outcome {
    let name = context.one_argument("<namespace>")?;
    let client = context.client()?;
    client.delete::<Value>(&format!("/v1/namespace/{}", segment(&name)), &Query::new()).await.attempt("Error deleting namespace")?;
    context.ui.output(format!("Successfully deleted namespace {name:?}!"));
    Ok(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use drover_lang::specs;

    use super::*;

    #[test]
    fn a_namespace_is_read_from_its_file() {
        let text = "name = \"byre\"\ndescription = \"cows\"\nmeta {\n  owner = \"ewe\"\n}\ncapabilities {\n  \
                    enabled_task_drivers = [\"exec\"]\n}\n";
        let document = specs::parse(Specification::Namespace, &drover_lang::Source::new("byre.hcl", text)).unwrap();
        let namespace: Namespace = document.object().unwrap();
        assert_eq!((namespace.name.as_str(), namespace.description.as_str()), ("byre", "cows"));
        assert_eq!(namespace.meta, Some(BTreeMap::from([("owner".to_owned(), "ewe".to_owned())])));
        assert_eq!(namespace.capabilities.unwrap().enabled_task_drivers, Some(vec!["exec".to_owned()]));
        let nameless = drover_lang::Source::new("x.hcl", "description = \"x\"\n");
        let problems = specs::parse(Specification::Namespace, &nameless).unwrap_err();
        assert!(problems.iter().any(|problem| problem.to_string().contains("name")), "{problems:?}");
    }
}
