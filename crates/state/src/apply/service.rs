//! Service registrations: owned by the node of a live allocation, gone with it in the same entry (SVC-012…017).

use std::sync::Arc;

use drover_base::AllocId;
use drover_model::ServiceRegistration;

use crate::event::{EventKind, Payload};
use crate::store::{ApplyError, Transaction};
use crate::tables::Table;

impl Transaction<'_> {
    pub(crate) fn upsert_services(&mut self, services: Vec<ServiceRegistration>) -> Result<(), ApplyError> {
        for service in &services {
            // A late message must not revive what the allocation's end removed (SVC-017), and a node speaks for itself
            // alone (SVC-007).
            if self.state.alloc(service.alloc_id).is_some_and(|alloc| alloc.node_id != service.node_id) {
                return Err(ApplyError::Refused(format!("service {} belongs to another node", service.id)));
            }
        }
        let index = self.index();
        for mut service in services {
            let alive = self.state.alloc(service.alloc_id).is_some_and(|alloc| !alloc.client_terminal());
            if !alive {
                continue;
            }
            let namespace: Arc<str> = Arc::from(service.namespace.as_str());
            let (id, name): (Arc<str>, Arc<str>) = (Arc::from(service.id.as_str()), Arc::from(service.service_name.as_str()));
            service.modify_index = index;
            service.create_index = index;
            if let Some(old) = self.state.service(&namespace, &id).cloned() {
                service.create_index = old.create_index;
                let same = ServiceRegistration { modify_index: old.modify_index, ..service.clone() } == *old;
                if same {
                    continue;
                }
                self.remove_service(&namespace, &id, false);
            }
            self.touch(Table::Services);
            self.touched.services.insert((service.namespace.clone(), service.service_name.clone()));
            self.state.services_by_alloc.insert((service.alloc_id, Arc::clone(&namespace), Arc::clone(&id)), ());
            self.state.service_ids.insert((Arc::clone(&namespace), Arc::clone(&id)), Arc::clone(&name));
            let service = Arc::new(service);
            self.state.services.insert((namespace, name, id), Arc::clone(&service));
            self.event(EventKind::ServiceRegistration, Payload::Service(service));
        }
        Ok(())
    }

    pub(crate) fn delete_service(&mut self, namespace: &str, id: &str) -> Result<(), ApplyError> {
        if self.remove_service(namespace, id, true) {
            Ok(())
        } else {
            Err(ApplyError::NotFound("service registration not found".to_owned()))
        }
    }

    pub(crate) fn remove_services_of(&mut self, alloc: AllocId) {
        let services: Vec<_> = self.state.services_of_alloc(alloc).map(|service| (service.namespace.clone(), service.id.clone())).collect();
        for (namespace, id) in services {
            self.remove_service(&namespace, &id, true);
        }
    }

    fn remove_service(&mut self, namespace: &str, id: &str, tell: bool) -> bool {
        let (namespace, id): (Arc<str>, Arc<str>) = (Arc::from(namespace), Arc::from(id));
        let Some(name) = self.state.service_ids.remove(&(Arc::clone(&namespace), Arc::clone(&id))) else { return false };
        let Some(row) = self.state.services.remove(&(Arc::clone(&namespace), Arc::clone(&name), Arc::clone(&id))) else {
            return false;
        };
        self.state.services_by_alloc.remove(&(row.alloc_id, namespace, id));
        self.touch(Table::Services);
        self.touched.services.insert((row.namespace.clone(), row.service_name.clone()));
        if tell {
            self.event(EventKind::ServiceDeregistration, Payload::Service(row));
        }
        true
    }
}
