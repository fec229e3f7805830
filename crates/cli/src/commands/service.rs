//! `service list|info|delete`.

use drover_api::{ServiceRegistration, ServiceRegistrationListStub};
use serde_json::Value;

use crate::command::{Attempt, Context, Failure, Outcome, PROGRAM};
use crate::flags::Flag;
use crate::row;
use crate::sdk::{Query, segment};
use crate::text::{pairs, short, table};

pub(super) const LIST_FLAGS: &[Flag] = &[Flag::value("name", "name", ""), super::JSON, super::TEMPLATE];
pub(super) const INFO_FLAGS: &[Flag] = &[super::PER_PAGE, super::PAGE_TOKEN, super::FILTER, super::JSON, super::TEMPLATE, super::VERBOSE];
pub(super) const DELETE_FLAGS: &[Flag] = &[];

pub(super) async fn list(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    context.one_format()?;
    let client = context.client()?;
    let value = client.get::<Value>("/v1/services", &Query::new()).await.attempt("Error listing service registrations")?.value;
    if context.formatted() {
        return context.print_formatted(&value);
    }
    let spaces: Vec<ServiceRegistrationListStub> =
        serde_json::from_value(value).map_err(|error| Failure::new(format!("Error listing service registrations: {error}")))?;
    let mut services: Vec<_> =
        spaces.iter().flat_map(|space| space.services.iter().flatten().map(move |service| (&space.namespace, service))).collect();
    if services.is_empty() {
        context.ui.output("No service registrations found");
        return Ok(0);
    }
    services.sort_by(|(one, left), (two, right)| (&left.service_name, one).cmp(&(&right.service_name, two)));
    let everywhere = client.config().namespace == "*";
    let mut rows = vec![if everywhere { row!["Service Name", "Namespace", "Tags"] } else { row!["Service Name", "Tags"] }];
    for (namespace, service) in services {
        let tags = tags(service.tags.as_ref());
        let name = &service.service_name;
        rows.push(if everywhere { row![name, namespace, tags] } else { row![name, tags] });
    }
    context.ui.output(table(&rows));
    Ok(0)
}

fn tags(tags: Option<&Vec<String>>) -> String {
    let mut tags = tags.cloned().unwrap_or_default();
    tags.sort();
    format!("[{}]", tags.join(","))
}

pub(super) async fn info(context: &mut Context) -> Outcome {
    let name = context.one_argument("<service_name>")?;
    context.one_format()?;
    let client = context.client()?;
    let path = format!("/v1/service/{}", segment(&name));
    let answer = client.get::<Value>(&path, &super::paged(context)).await.attempt("Error listing service registrations")?;
    if context.formatted() {
        return context.print_formatted(&answer.value);
    }
    let found: Vec<ServiceRegistration> =
        serde_json::from_value(answer.value).map_err(|error| Failure::new(format!("Error listing service registrations: {error}")))?;
    if found.is_empty() {
        context.ui.output("No service registrations found");
        return Ok(0);
    }
    if context.verbose() {
        let blocks: Vec<String> = found.iter().map(block).collect();
        context.ui.output(blocks.join("\n\n"));
    } else {
        let mut rows = vec![row!["Job ID", "Address", "Tags", "Node ID", "Alloc ID"]];
        for service in &found {
            let (node, alloc) = (short(&service.node_id, false), short(&service.alloc_id, false));
            rows.push(row![service.job_id, address(service), tags(service.tags.as_ref()), node, alloc]);
        }
        context.ui.output(table(&rows));
    }
    let command = format!("{PROGRAM} service info {name}");
    super::next_page(context, &command, &["per-page", "filter"], &answer.meta.next_token);
    Ok(0)
}

fn address(service: &ServiceRegistration) -> String {
    let host = &service.address;
    match service.port {
        0 => host.clone(),
        port if host.contains(':') => format!("[{host}]:{port}"),
        port => format!("{host}:{port}"),
    }
}

fn block(service: &ServiceRegistration) -> String {
    pairs(&[
        ("ID", service.id.clone()),
        ("Service Name", service.service_name.clone()),
        ("Namespace", service.namespace.clone()),
        ("Job ID", service.job_id.clone()),
        ("Alloc ID", service.alloc_id.clone()),
        ("Node ID", service.node_id.clone()),
        ("Datacenter", service.datacenter.clone()),
        ("Address", address(service)),
        ("Tags", tags(service.tags.as_ref())),
    ])
}

pub(super) async fn delete(context: &mut Context) -> Outcome {
    let [name, id] = context.arguments() else {
        return Err(Failure::usage("This command takes two arguments: <service_name> and <service_id>"));
    };
    let client = context.client()?;
    let path = format!("/v1/service/{}/{}", segment(name), segment(id));
    client.delete::<Value>(&path, &Query::new()).await.attempt("Error deleting service registration")?;
    context.ui.output("Successfully deleted service registration");
    Ok(0)
}
