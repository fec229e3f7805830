//! Services and checks as an allocation registers them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::environment::{Sources, VisibleDirectories};
use drover_base::{AllocId, EvalId, NodeId, WallTime};
use drover_macros::proves;
use drover_model::{AllocatedResources, ClientStatus, DesiredStatus, DesiredTransition, Job, JobId};

fn alloc(canary: bool) -> Allocation {
    let port = PortMapping { label: "web".to_owned(), value: 20_001, to: 8080, host_ip: "10.0.0.9".to_owned(), ignore_collision: false };
    Allocation {
        id: AllocId::from_random(3),
        job: Arc::new(Job { id: JobId { namespace: "farm".to_owned(), id: "weaver".to_owned() }, ..Job::default() }),
        group: "spin".to_owned(),
        index: 2,
        node_id: NodeId::from_random(1),
        eval_id: EvalId::NIL,
        resources: Arc::new(AllocatedResources { ports: vec![port], ..AllocatedResources::default() }),
        desired: DesiredStatus::Run,
        transition: DesiredTransition::default(),
        client_status: ClientStatus::Pending,
        deployment: None,
        canary,
        health_wanted: false,
        previous: None,
        create_index: 0,
        alloc_modify_index: 0,
        create_time: WallTime::ZERO,
        node_name: String::new(),
    }
}

fn register(alloc: &Allocation, service: &Service) -> Result<ServiceRegistration, ServiceError> {
    let node = Node { id: alloc.node_id, datacenter: "dc1".to_owned(), ..Node::default() };
    let nothing = BTreeMap::new();
    let environment = Environment::build(&Sources {
        alloc,
        task: None,
        node: &node,
        region: "global",
        directories: &VisibleDirectories::default(),
        host: None,
        parent_cgroup: "",
        cgroups_v1: false,
        hooks: &nothing,
        templates: &nothing,
    });
    registration(alloc, &node, "192.168.1.5", None, service, &environment)
}

fn service(port: &str) -> Service {
    Service {
        name: "${NOMAD_JOB_NAME}weaver-http".to_owned(),
        port_label: port.to_owned(),
        tags: vec!["raw".to_owned(), "${NOMAD_ALLOC_INDEX}".to_owned()],
        canary_tags: vec!["new".to_owned()],
        ..Service::default()
    }
}

#[proves("SVC-002", "SVC-004")]
#[test]
fn a_registration_says_what_and_where() {
    let alloc = alloc(false);
    let found = register(&alloc, &service("web")).expect("registration");
    assert_eq!(found.id, format!("_nomad-task-{}-group-spin-weaver-http-web", alloc.id));
    assert_eq!((found.service_name.as_str(), found.namespace.as_str()), ("weaver-http", "farm"));
    assert_eq!((found.address.as_str(), found.port, found.datacenter.as_str()), ("10.0.0.9", 20_001, "dc1"));
    assert_eq!((found.job_id.as_str(), found.tags.as_slice()), ("weaver", &["raw".to_owned(), "2".to_owned()][..]));
    assert_eq!(register(&self::alloc(true), &service("web")).expect("canary").tags, ["new"]);
    let literal = register(&alloc, &service("9000")).expect("literal");
    assert_eq!((literal.address.as_str(), literal.port), ("192.168.1.5", 9000));
    let advertised = Service { address: "example.org".to_owned(), ..service("web") };
    assert_eq!(register(&alloc, &advertised).expect("advertised").address, "example.org");
}

#[proves("SVC-033", "SVC-034")]
#[test]
fn bad_names_and_missing_addresses_are_refused() {
    let alloc = alloc(false);
    let named = |name: &str| Service { name: name.to_owned(), ..service("web") };
    assert_eq!(register(&alloc, &named("no_underscores")), Err(ServiceError::Name("no_underscores".to_owned())));
    assert_eq!(register(&alloc, &named("${nothing}")), Err(ServiceError::Name("${nothing}".to_owned())));
    assert!(matches!(register(&alloc, &service("nope")), Err(ServiceError::Port { .. })));
    let driver = Service { address_mode: "driver".to_owned(), ..service("web") };
    assert!(matches!(register(&alloc, &driver), Err(ServiceError::DriverAddress { .. })));
}
