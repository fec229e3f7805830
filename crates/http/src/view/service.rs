//! Service registrations.

use std::collections::{BTreeMap, BTreeSet};

use drover_api as api;
use drover_model::ServiceRegistration;

/// A registration.
pub fn service(service: &ServiceRegistration) -> api::ServiceRegistration {
    api::ServiceRegistration {
        id: service.id.clone(),
        service_name: service.service_name.clone(),
        namespace: service.namespace.clone(),
        node_id: service.node_id.to_string(),
        datacenter: service.datacenter.clone(),
        job_id: service.job_id.clone(),
        alloc_id: service.alloc_id.to_string(),
        tags: super::list(service.tags.clone()),
        address: service.address.clone(),
        port: i64::from(service.port),
        create_index: service.create_index,
        modify_index: service.modify_index,
    }
}

/// The names of services by namespace, with the tags of all their instances.
pub fn service_stubs<'a>(services: impl Iterator<Item = &'a ServiceRegistration>) -> Vec<api::ServiceRegistrationListStub> {
    let mut found: BTreeMap<&str, BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
    for service in services {
        let tags = found.entry(&service.namespace).or_default().entry(&service.service_name).or_default();
        tags.extend(service.tags.iter().map(String::as_str));
    }
    let names = |services: BTreeMap<&str, BTreeSet<&str>>| {
        let stub = |(name, tags): (&str, BTreeSet<&str>)| api::ServiceRegistrationStub {
            service_name: name.to_owned(),
            tags: Some(tags.into_iter().map(str::to_owned).collect()),
        };
        services.into_iter().map(stub).collect()
    };
    found
        .into_iter()
        .map(|(namespace, services)| api::ServiceRegistrationListStub { namespace: namespace.to_owned(), services: Some(names(services)) })
        .collect()
}
