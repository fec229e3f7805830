//! The binary form of plans in the log: resources and metrics that placements share are written once per entry and named
//! by their position, groups once per plan. Memory shared before is shared again after reading.

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_base::{AllocId, DeploymentId, EvalId, NodeId};
use minicbor::decode::Error as DecodeError;
use minicbor::encode::{Error as EncodeError, Write};
use minicbor::{Decode, Decoder, Encode, Encoder};

use crate::deployment::Deployment;
use crate::evaluation::{DesiredUpdates, Evaluation, PlacementMetrics};
use crate::job::JobId;
use crate::plan::{DeploymentUpdate, InPlace, Placement, Plan, Preemption, RescheduleEvent, Stop};
use crate::resources::AllocatedResources;

/// Gives each shared value a number in order of first use.
struct Table<'a, T> {
    numbers: BTreeMap<usize, u32>,
    values: Vec<&'a T>,
}

impl<'a, T> Table<'a, T> {
    fn new() -> Self {
        Self { numbers: BTreeMap::new(), values: Vec::new() }
    }

    fn number(&mut self, value: &'a Arc<T>) -> u32 {
        let next = position(self.values.len());
        *self.numbers.entry(Arc::as_ptr(value) as usize).or_insert_with(|| {
            self.values.push(value);
            next
        })
    }
}

fn position(length: usize) -> u32 {
    u32::try_from(length).expect("an entry holds less than 2³² of anything")
}

#[derive(Encode)]
struct PlacementOut<'a> {
    #[n(0)]
    id: AllocId,
    #[n(1)]
    group: u32,
    #[n(2)]
    index: u32,
    #[n(3)]
    node_id: NodeId,
    #[n(4)]
    resources: u32,
    #[n(5)]
    metrics: u32,
    #[n(6)]
    previous: Option<AllocId>,
    #[n(7)]
    job_version: Option<u64>,
    #[n(8)]
    canary: Option<bool>,
    #[n(9)]
    reschedules: Option<&'a [RescheduleEvent]>,
}

#[derive(Decode)]
struct PlacementIn {
    #[n(0)]
    id: AllocId,
    #[n(1)]
    group: u32,
    #[n(2)]
    index: u32,
    #[n(3)]
    node_id: NodeId,
    #[n(4)]
    resources: u32,
    #[n(5)]
    metrics: u32,
    #[n(6)]
    previous: Option<AllocId>,
    #[n(7)]
    job_version: Option<u64>,
    #[n(8)]
    canary: Option<bool>,
    #[n(9)]
    reschedules: Option<Vec<RescheduleEvent>>,
}

#[derive(Encode)]
struct PlanOut<'a> {
    #[n(0)]
    eval_id: EvalId,
    #[n(1)]
    job_id: &'a JobId,
    #[n(2)]
    priority: u8,
    #[n(3)]
    all_at_once: bool,
    #[n(4)]
    groups: Vec<&'a str>,
    #[n(5)]
    placements: Vec<PlacementOut<'a>>,
    #[n(6)]
    stops: &'a [Stop],
    #[n(7)]
    in_place: &'a [InPlace],
    #[n(8)]
    deployment: Option<&'a Deployment>,
    #[n(9)]
    deployment_updates: &'a [DeploymentUpdate],
    #[n(10)]
    job_version: u64,
    #[n(11)]
    job_create_index: u64,
    #[n(12)]
    annotations: &'a BTreeMap<String, DesiredUpdates>,
    #[n(13)]
    preemptions: &'a [Preemption],
    #[n(14)]
    joins: Option<DeploymentId>,
    #[n(15)]
    evals: Option<&'a [Evaluation]>,
}

#[derive(Decode)]
struct PlanIn {
    #[n(0)]
    eval_id: EvalId,
    #[n(1)]
    job_id: JobId,
    #[n(2)]
    priority: u8,
    #[n(3)]
    #[cbor(default)]
    all_at_once: bool,
    #[n(4)]
    #[cbor(default)]
    groups: Vec<String>,
    #[n(5)]
    #[cbor(default)]
    placements: Vec<PlacementIn>,
    #[n(6)]
    #[cbor(default)]
    stops: Vec<Stop>,
    #[n(7)]
    #[cbor(default)]
    in_place: Vec<InPlace>,
    #[n(8)]
    deployment: Option<Deployment>,
    #[n(9)]
    #[cbor(default)]
    deployment_updates: Vec<DeploymentUpdate>,
    #[n(10)]
    job_version: u64,
    #[n(11)]
    job_create_index: u64,
    #[n(12)]
    #[cbor(default)]
    annotations: BTreeMap<String, DesiredUpdates>,
    #[n(13)]
    #[cbor(default)]
    preemptions: Vec<Preemption>,
    #[n(14)]
    joins: Option<DeploymentId>,
    #[n(15)]
    evals: Option<Vec<Evaluation>>,
}

/// Writes plans.
///
/// # Errors
/// When the writer fails.
pub fn encode<C, W: Write>(plans: &[Plan], e: &mut Encoder<W>, ctx: &mut C) -> Result<(), EncodeError<W::Error>> {
    let (mut resources, mut metrics) = (Table::new(), Table::new());
    let plans: Vec<PlanOut<'_>> = plans.iter().map(|plan| plan_out(plan, &mut resources, &mut metrics)).collect();
    e.array(3)?;
    resources.values.encode(e, ctx)?;
    metrics.values.encode(e, ctx)?;
    plans.encode(e, ctx)
}

fn plan_out<'a>(plan: &'a Plan, resources: &mut Table<'a, AllocatedResources>, metrics: &mut Table<'a, PlacementMetrics>) -> PlanOut<'a> {
    let Plan {
        eval_id,
        job_id,
        priority,
        all_at_once,
        placements,
        stops,
        in_place,
        deployment,
        deployment_updates,
        job_version,
        job_create_index,
        annotations,
        preemptions,
        evals,
        joins,
    } = plan;
    let mut groups: Vec<&str> = Vec::new();
    let placements = placements
        .iter()
        .map(|placement| {
            let Placement { id, group, index, node_id, resources: given, previous, reschedules, canary, job_version, metrics: how } =
                placement;
            // Placements of a group come together, so the last one is nearly always the right one.
            let group = groups.iter().rposition(|known| **known == **group).unwrap_or_else(|| {
                groups.push(group);
                groups.len() - 1
            });
            PlacementOut {
                id: *id,
                group: position(group),
                index: *index,
                node_id: *node_id,
                resources: resources.number(given),
                metrics: metrics.number(how),
                previous: *previous,
                job_version: *job_version,
                canary: canary.then_some(true),
                reschedules: (!reschedules.is_empty()).then_some(reschedules),
            }
        })
        .collect();
    PlanOut {
        eval_id: *eval_id,
        job_id,
        priority: *priority,
        all_at_once: *all_at_once,
        groups,
        placements,
        stops,
        in_place,
        deployment: deployment.as_ref(),
        deployment_updates,
        job_version: *job_version,
        job_create_index: *job_create_index,
        annotations,
        preemptions,
        joins: *joins,
        evals: (!evals.is_empty()).then_some(evals),
    }
}

/// Reads plans.
///
/// # Errors
/// When the bytes are not plans, or name what is not there.
pub fn decode<'b, C>(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Vec<Plan>, DecodeError> {
    if d.array()? != Some(3) {
        return Err(DecodeError::message("plans have three parts"));
    }
    let resources: Vec<Arc<AllocatedResources>> = table(d, ctx)?;
    let metrics: Vec<Arc<PlacementMetrics>> = table(d, ctx)?;
    let plans: Vec<PlanIn> = Vec::decode(d, ctx)?;
    plans.into_iter().map(|plan| plan_in(plan, &resources, &metrics)).collect()
}

fn table<'b, C, T: Decode<'b, C>>(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Vec<Arc<T>>, DecodeError> {
    Ok(Vec::<T>::decode(d, ctx)?.into_iter().map(Arc::new).collect())
}

fn plan_in(plan: PlanIn, resources: &[Arc<AllocatedResources>], metrics: &[Arc<PlacementMetrics>]) -> Result<Plan, DecodeError> {
    let groups: Vec<Arc<str>> = plan.groups.iter().map(|name| Arc::from(name.as_str())).collect();
    let placements = plan
        .placements
        .into_iter()
        .map(|placement| {
            Ok(Placement {
                id: placement.id,
                group: at(&groups, placement.group)?,
                index: placement.index,
                node_id: placement.node_id,
                resources: at(resources, placement.resources)?,
                previous: placement.previous,
                reschedules: placement.reschedules.unwrap_or_default(),
                canary: placement.canary.unwrap_or_default(),
                job_version: placement.job_version,
                metrics: at(metrics, placement.metrics)?,
            })
        })
        .collect::<Result<Vec<_>, DecodeError>>()?;
    Ok(Plan {
        eval_id: plan.eval_id,
        job_id: plan.job_id,
        priority: plan.priority,
        all_at_once: plan.all_at_once,
        placements,
        stops: plan.stops,
        in_place: plan.in_place,
        deployment: plan.deployment,
        deployment_updates: plan.deployment_updates,
        job_version: plan.job_version,
        job_create_index: plan.job_create_index,
        annotations: plan.annotations,
        preemptions: plan.preemptions,
        joins: plan.joins,
        evals: plan.evals.unwrap_or_default(),
    })
}

fn at<T: ?Sized>(table: &[Arc<T>], position: u32) -> Result<Arc<T>, DecodeError> {
    table.get(position as usize).cloned().ok_or_else(|| DecodeError::message("a placement names what is not in its table"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        let job_id = JobId { namespace: "default".into(), id: "web".into() };
        let mut plan = Plan::new(EvalId::from_random(1), job_id, 50);
        let (resources, metrics): (Arc<AllocatedResources>, Arc<PlacementMetrics>) = Default::default();
        for number in 0..50u32 {
            plan.placements.push(Placement {
                id: AllocId::from_random(u128::from(number)),
                group: Arc::from(if number < 40 { "a" } else { "b" }),
                index: number,
                node_id: NodeId::from_random(u128::from(number)),
                resources: Arc::clone(&resources),
                previous: (number == 3).then(|| AllocId::from_random(99)),
                reschedules: if number == 3 { vec![RescheduleEvent::default()] } else { Vec::new() },
                canary: number == 4,
                job_version: (number == 5).then_some(2),
                metrics: Arc::clone(&metrics),
            });
        }
        plan.preemptions.push(Preemption { id: AllocId::from_random(7), by: AllocId::from_random(8) });
        plan.joins = Some(DeploymentId::from_random(5));
        plan
    }

    #[test]
    fn what_is_shared_is_written_once_and_shared_again() {
        let plans = vec![plan(), plan()];
        let mut bytes = Vec::new();
        encode(&plans, &mut Encoder::new(&mut bytes), &mut ()).unwrap();
        let read = decode(&mut Decoder::new(&bytes), &mut ()).unwrap();
        assert_eq!(read, plans);
        let first = &read[0].placements[0];
        assert!(read[0].placements.iter().all(|placement| Arc::ptr_eq(&placement.metrics, &first.metrics)));
        assert!(bytes.len() < 100 * 50, "{} bytes for 100 placements", bytes.len());
    }

    #[test]
    fn a_position_outside_its_table_is_refused() {
        let mut bytes = Vec::new();
        encode(&[plan()], &mut Encoder::new(&mut bytes), &mut ()).unwrap();
        // The same plan after empty tables.
        let mut d = Decoder::new(&bytes);
        d.array().unwrap();
        d.skip().unwrap();
        d.skip().unwrap();
        let rest = d.position();
        let mut cut = vec![0x83, 0x80, 0x80];
        cut.extend_from_slice(&bytes[rest..]);
        assert!(decode(&mut Decoder::new(&cut), &mut ()).is_err());
    }
}
