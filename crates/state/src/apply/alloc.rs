//! Allocations: the one place that writes them keeps capacity, summaries, deployments and registrations in step.

use std::sync::Arc;

use drover_base::AllocId;
use drover_model::{AllocUpdate, DesiredTransition, Evaluation};

use crate::event::Payload;
use crate::rows::{Alloc, AllocSlot};
use crate::store::{ApplyError, Transaction};
use crate::tables::Table;
use crate::usage::Ask;

impl Transaction<'_> {
    /// Writes an allocation and everything that is counted from it.
    pub(crate) fn write_alloc(&mut self, mut alloc: Alloc) {
        let (index, time) = (self.index(), self.state.time);
        alloc.modify_index = index;
        alloc.modify_time = time;
        let old = self.state.alloc(alloc.id).cloned();
        let slot = match self.state.alloc_ids.get(&alloc.id) {
            Some(slot) => *slot,
            None => {
                let slot: AllocSlot = self.slot();
                self.state.alloc_ids.insert(alloc.id, slot);
                self.state.allocs_by_job.insert((alloc.job_slot, slot), ());
                self.state.allocs_by_node.insert((alloc.node_slot, slot), ());
                self.state.allocs_by_eval.insert((alloc.eval_id, slot), ());
                slot
            }
        };
        let old_deployment = old.as_ref().and_then(|old| old.deployment);
        if old_deployment != alloc.deployment {
            if let Some(id) = old_deployment {
                self.state.allocs_by_deployment.remove(&(id, slot));
            }
            if let Some(id) = alloc.deployment {
                self.state.allocs_by_deployment.insert((id, slot), ());
            }
        }
        self.count_usage(old.as_deref(), Some(&alloc));
        self.count_summary(old.as_deref(), Some(&alloc));
        self.count_deployment(old.as_deref(), &alloc);
        if alloc.client_terminal() {
            self.remove_services_of(alloc.id);
        }
        self.touch(Table::Allocs);
        self.touched.allocs.insert(alloc.id);
        if alloc.alloc_modify_index == index {
            self.touched.pushes.insert((alloc.node_id, alloc.id));
        }
        let job_slot = alloc.job_slot;
        let alloc = Arc::new(alloc);
        self.state.allocs.insert(slot, Arc::clone(&alloc));
        self.refresh_status(job_slot);
        self.told(Payload::Allocation(alloc));
    }

    pub(crate) fn remove_alloc(&mut self, id: AllocId) {
        let Some(slot) = self.state.alloc_ids.remove(&id) else { return };
        let Some(alloc) = self.state.allocs.remove(&slot) else { return };
        self.state.allocs_by_job.remove(&(alloc.job_slot, slot));
        self.state.allocs_by_node.remove(&(alloc.node_slot, slot));
        self.state.allocs_by_eval.remove(&(alloc.eval_id, slot));
        if let Some(deployment) = alloc.deployment {
            self.state.allocs_by_deployment.remove(&(deployment, slot));
        }
        self.count_usage(Some(&alloc), None);
        self.count_summary(Some(&alloc), None);
        self.remove_services_of(id);
        self.touch(Table::Allocs);
        self.touched.allocs.insert(id);
        self.touched.pushes.insert((alloc.node_id, id));
    }

    fn count_usage(&mut self, old: Option<&Alloc>, new: Option<&Alloc>) {
        let Some(either) = new.or(old) else { return };
        let (slot, node_id) = (either.node_slot, either.node_id);
        let counted = |alloc: Option<&Alloc>| alloc.map(|alloc| (alloc.terminal(), alloc.client_terminal(), Arc::as_ptr(&alloc.resources)));
        if counted(old) == counted(new) {
            return;
        }
        let live = |alloc: Option<&Alloc>| alloc.filter(|alloc| !alloc.terminal()).map(|alloc| Ask::of(&alloc.resources));
        let held = |alloc: Option<&Alloc>| alloc.filter(|alloc| !alloc.client_terminal()).map(|alloc| Ask::of(&alloc.resources));
        let (live_before, live_after, held_before, held_after) = (live(old), live(new), held(old), held(new));
        if (live_before == live_after && held_before == held_after) || self.state.node_at(slot).is_none() {
            return;
        }
        let row = self.node_mut(slot);
        for (usage, before, after) in [(&mut row.live, &live_before, &live_after), (&mut row.held, &held_before, &held_after)] {
            if let Some(ask) = before {
                usage.remove(ask);
            }
            if let Some(ask) = after {
                usage.add(ask);
            }
        }
        if held_before != held_after {
            self.reindex(slot);
        }
        if held_before.is_some() && held_after.is_none() {
            self.touched.freed.insert(node_id);
        }
    }

    fn count_summary(&mut self, old: Option<&Alloc>, new: Option<&Alloc>) {
        let Some(either) = new.or(old) else { return };
        let slot = either.job_slot;
        if self.state.job_at(slot).is_none() {
            return;
        }
        let index = self.index();
        let row = self.job_mut(slot);
        let alive = |alloc: Option<&Alloc>| alloc.is_some_and(|alloc| !alloc.terminal());
        match (alive(old), alive(new)) {
            (false, true) => row.live_allocs += 1,
            (true, false) => row.live_allocs = row.live_allocs.saturating_sub(1),
            _ => {}
        }
        let (before, after) = (old.map(|alloc| alloc.client_status), new.map(|alloc| alloc.client_status));
        if before == after {
            return;
        }
        row.summary_index = index;
        let summary = row.summary.entry(either.group_name().to_owned()).or_default();
        if let Some(status) = before {
            let count = summary.of(status);
            *count = count.saturating_sub(1);
        }
        if let Some(status) = after {
            *summary.of(status) += 1;
        }
        self.touch(Table::Summaries);
    }

    pub(crate) fn alloc_updates(&mut self, updates: Vec<AllocUpdate>, evals: Vec<Evaluation>) -> Result<(), ApplyError> {
        let index = self.index();
        for update in updates {
            let Some(row) = self.state.alloc(update.id).cloned() else { continue };
            // A finished allocation stays finished, whatever an old message says (CLI-013).
            if row.client_terminal() && !update.status.is_terminal() {
                continue;
            }
            let mut alloc = Alloc::clone(&row);
            alloc.client_status = update.status;
            let description = (!update.description.is_empty()).then(|| Arc::from(update.description.as_str()));
            if alloc.rare.client_description != description {
                alloc.rare.client_description = description;
            }
            alloc.tasks = Some(update.tasks.into());
            if let Some(health) = update.health
                && alloc.has_health()
                && alloc.is_healthy() != Some(false)
                && alloc.is_healthy() != Some(health.healthy)
            {
                alloc.health = Some((health, index));
            }
            let (node_slot, node_id) = (alloc.node_slot, alloc.node_id);
            self.write_alloc(alloc);
            if self.state.node_at(node_slot).is_some() {
                self.node_mut(node_slot).last_alloc_update_index = index;
                self.touched.nodes.insert(node_id);
            }
        }
        self.upsert_evals(evals)
    }

    pub(crate) fn transitions(&mut self, transitions: Vec<(AllocId, DesiredTransition)>, evals: Vec<Evaluation>) -> Result<(), ApplyError> {
        for (id, wanted) in transitions {
            let Some(row) = self.state.alloc(id).cloned() else { continue };
            let mut alloc = Alloc::clone(&row);
            let now = &mut alloc.transition;
            now.migrate = wanted.migrate.or(now.migrate);
            now.reschedule = wanted.reschedule.or(now.reschedule);
            now.force_reschedule = wanted.force_reschedule.or(now.force_reschedule);
            now.no_shutdown_delay = wanted.no_shutdown_delay.or(now.no_shutdown_delay);
            now.migrate_disable_placement = wanted.migrate_disable_placement.or(now.migrate_disable_placement);
            self.write_alloc(alloc);
        }
        self.upsert_evals(evals)
    }
}
