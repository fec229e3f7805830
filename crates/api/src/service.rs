//! Service registrations.

use drover_macros::Wire;

/// The JSON object `ServiceRegistration`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ServiceRegistration {
    /// _nomad-task-... unique id.
    pub id: String,
    pub service_name: String,
    pub namespace: String,
    pub node_id: String,
    pub datacenter: String,
    pub job_id: String,
    pub alloc_id: String,
    pub tags: Option<Vec<String>>,
    pub address: String,
    /// Host port.
    pub port: i64,
    pub create_index: u64,
    pub modify_index: u64,
}

/// The JSON object `ServiceRegistrationListStub`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ServiceRegistrationListStub {
    pub namespace: String,
    pub services: Option<Vec<ServiceRegistrationStub>>,
}

/// The JSON object `ServiceRegistrationStub`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ServiceRegistrationStub {
    pub service_name: String,
    pub tags: Option<Vec<String>>,
}
