//! Other regions: which there are, where their servers are reached, and whether they are.
//!
//! [`Regions`] is a value that decides whom to greet and when; the agent's loop does it. A server is known because the configuration
//! names it, because it has greeted this one, or because another has told of it; what was heard is only believed once the server
//! itself, greeted at the address that was told, says the same. There may be several servers of a region among them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use drover_base::{Monotonic, Rng};
pub use drover_rpc::{Greeting, Peer};
use drover_rpc::{Reason, Refusal};

use crate::server::Server;

/// How often a server that answers is greeted again.
const GREET_EVERY: Duration = Duration::from_secs(3);
/// The pause after the first greeting without an answer; it doubles up to what is configured.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// A server that was only heard of and has not answered for so long is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(72 * 3_600);
/// One that never has is forgotten sooner: it may not be there at all.
const DOUBTED_AFTER: Duration = Duration::from_secs(600);
/// Servers of other regions at most; what is heard of more is forgotten at once.
pub const PEERS_MAX: usize = 256;
/// The longest name of a region or server, and the longest address, in bytes.
const TEXT_MAX: usize = 256;

/// What is heard of other regions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The configuration names these addresses.
    Configured(Vec<String>),
    /// The server at this address has answered a greeting.
    Answered(String, Greeting),
    /// It has not, and why.
    Failed(String, String),
    /// The time that [`Regions::next_deadline`] told has come.
    Tick,
}

/// What to do then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Greet the server at this address; an [`Event::Answered`] or [`Event::Failed`] follows.
    Greet(String),
    /// Say that this server of another region is reached.
    Reached(Peer),
    /// Say that it is not any more, and why.
    Lost(Peer, String),
    /// Say that there is no use in this address, and why.
    Useless(String, String),
}

/// An address at which a server of another region is, or may be.
#[derive(Clone, Debug, Default)]
struct Link {
    configured: bool,
    /// The region that it is said to be of; "" where nobody said.
    claimed: String,
    /// Who has answered there last.
    peer: Option<Peer>,
    reached: bool,
    failures: u32,
    /// The next greeting; none while one is under way.
    next: Option<Monotonic>,
    /// Since when somebody answers, or nobody does.
    since: Monotonic,
    /// What was said last of its uselessness, so that it is said once.
    told: String,
}

/// A server of another region, for lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The server.
    pub peer: Peer,
    /// Whether it answers.
    pub reached: bool,
}

/// What is known of other regions.
#[derive(Debug)]
pub struct Regions {
    own: Peer,
    retry_max: Duration,
    links: BTreeMap<String, Link>,
    rng: Rng,
}

fn is_text(text: &str) -> bool {
    (1..=TEXT_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether what was told of a server can be true of one.
fn sensible(peer: &Peer) -> bool {
    let address = peer.address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    let region = is_text(&peer.region) && !peer.region.contains('/');
    region
        && is_text(&peer.name)
        && is_text(&peer.id)
        && is_text(&peer.address)
        && address
        && peer.datacenter.len() <= TEXT_MAX
        && peer.build.len() <= TEXT_MAX
}

impl Regions {
    /// Nothing known but the server itself. Whoever does not answer is greeted again after `retry_max` at the latest.
    pub fn new(own: Peer, retry_max: Duration, seed: u64) -> Self {
        Self { own, retry_max: retry_max.max(FIRST_RETRY), links: BTreeMap::new(), rng: Rng::new(seed) }
    }

    /// Takes up what was heard.
    pub fn handle(&mut self, now: Monotonic, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Configured(addresses) => {
                for address in addresses {
                    let link = self.links.entry(address).or_default();
                    link.configured = true;
                    link.next = Some(now);
                }
            }
            Event::Answered(address, greeting) => self.answered(now, &address, greeting, &mut actions),
            Event::Failed(address, reason) => self.failed(now, &address, reason, &mut actions),
            Event::Tick => {}
        }
        for (address, link) in &mut self.links {
            if link.next.is_some_and(|next| next <= now) {
                link.next = None;
                actions.push(Action::Greet(address.clone()));
            }
        }
        actions
    }

    /// The next moment at which [`Event::Tick`] changes anything.
    pub fn next_deadline(&self) -> Option<Monotonic> {
        self.links.values().filter_map(|link| link.next).min()
    }

    /// A server has greeted this one, and is answered. It is greeted in turn, at [`Self::next_deadline`].
    ///
    /// # Errors
    /// When it is of this region, or what it says cannot be.
    pub fn visited(&mut self, now: Monotonic, greeting: Greeting) -> Result<Greeting, Refusal> {
        let Greeting { from, others } = greeting;
        let itself = from.id == self.own.id;
        if !itself && from.region == self.own.region {
            let text = format!(
                "region {} has server {} already, and this version of Drover has one server in each",
                self.own.region, self.own.name
            );
            return Err(Refusal::new(Reason::Refused, text));
        }
        if !itself {
            if !sensible(&from) {
                return Err(Refusal::new(Reason::Refused, "a greeting needs the region, name, id and address of the server"));
            }
            // Whoever greets is there: no reason to wait for the next try.
            if let Some(link) = self.links.get_mut(&from.address).filter(|link| !link.reached && link.next.is_some()) {
                link.next = Some(now);
            }
            self.heard_of(now, from);
            others.into_iter().take(PEERS_MAX).for_each(|peer| self.heard_of(now, peer));
        }
        Ok(self.greeting())
    }

    /// What this server tells others.
    pub fn greeting(&self) -> Greeting {
        let others = self.links.values().filter(|link| link.reached).filter_map(|link| link.peer.clone()).collect();
        Greeting { from: self.own.clone(), others }
    }

    /// The regions that can be reached and this one, in order.
    pub fn names(&self) -> Vec<String> {
        let reached = self.links.values().filter(|link| link.reached).filter_map(|link| link.peer.as_ref());
        let names: BTreeSet<&str> = reached.map(|peer| peer.region.as_str()).chain([self.own.region.as_str()]).collect();
        names.into_iter().map(str::to_owned).collect()
    }

    /// Where servers of a region are reached: those that the configuration names first, then those that have answered the longest, so
    /// that nobody takes the place of another.
    pub fn ways(&self, region: &str) -> Vec<String> {
        let mut ways: Vec<(&String, &Link)> = self.links_to(region).collect();
        ways.sort_by_key(|(_, link)| (!link.configured, link.since));
        ways.into_iter().map(|(address, _)| address.clone()).collect()
    }

    /// The same of those alone that the configuration names: nobody else can have made themselves one.
    pub fn named_ways(&self, region: &str) -> Vec<String> {
        self.links_to(region).filter(|(_, link)| link.configured).map(|(address, _)| address.clone()).collect()
    }

    /// The servers of other regions, those that do not answer any more among them.
    pub fn members(&self) -> Vec<Member> {
        let members = self.links.values().filter_map(|link| Some(Member { peer: link.peer.clone()?, reached: link.reached }));
        let mut members: Vec<Member> = members.collect();
        let key = |member: &Member| (member.peer.region.clone(), member.peer.name.clone(), !member.reached, member.peer.id.clone());
        members.sort_by_key(key);
        // One that came back under another id is there once.
        members.dedup_by(|later, earlier| later.peer.region == earlier.peer.region && later.peer.name == earlier.peer.name);
        members
    }

    fn links_to<'a>(&'a self, region: &'a str) -> impl Iterator<Item = (&'a String, &'a Link)> {
        self.links.iter().filter(move |(_, link)| link.reached && link.peer.as_ref().is_some_and(|peer| peer.region == region))
    }

    fn is_own(&self, peer: &Peer) -> bool {
        peer.id == self.own.id || peer.region == self.own.region
    }

    fn heard_of(&mut self, now: Monotonic, peer: Peer) {
        let reached = self.links.values().any(|link| link.reached && link.peer.as_ref().is_some_and(|known| known.id == peer.id));
        if reached || !sensible(&peer) || self.is_own(&peer) || self.links.contains_key(&peer.address) || self.links.len() >= PEERS_MAX {
            return;
        }
        let link = Link { claimed: peer.region, next: Some(now), since: now, ..Link::default() };
        self.links.insert(peer.address, link);
    }

    fn answered(&mut self, now: Monotonic, address: &str, greeting: Greeting, actions: &mut Vec<Action>) {
        let Greeting { from, others } = greeting;
        if from.id == self.own.id {
            self.links.remove(address);
            return;
        }
        if from.region == self.own.region {
            let text = format!("it is a server of this region, {}; this version of Drover has one server in each", from.region);
            return self.useless(now, address, text, actions);
        }
        if !sensible(&from) {
            return self.useless(now, address, "what it says of itself cannot be read".to_owned(), actions);
        }
        let twin = |(other, link): (&String, &Link)| {
            other != address && link.reached && link.peer.as_ref().is_some_and(|known| known.id == from.id)
        };
        let twins: Vec<String> = self.links.iter().filter(|entry| twin(*entry)).map(|(other, _)| other.clone()).collect();
        let Some(link) = self.links.get_mut(address) else { return };
        // One of another region than was told of, or that is reached at another address: nothing that is needed.
        if !link.configured && (link.claimed != from.region || !twins.is_empty()) {
            self.links.remove(address);
            return;
        }
        let configured = link.configured;
        let news = !link.reached || link.peer.as_ref().is_none_or(|known| known.id != from.id);
        if !link.reached {
            (link.reached, link.since) = (true, now);
        }
        (link.failures, link.next) = (0, Some(now + GREET_EVERY));
        link.told.clear();
        link.peer = Some(from.clone());
        if news {
            actions.push(Action::Reached(from));
        }
        for twin in twins.into_iter().filter(|_| configured) {
            if self.links.get(&twin).is_some_and(|link| !link.configured) {
                self.links.remove(&twin);
            }
        }
        others.into_iter().take(PEERS_MAX).for_each(|peer| self.heard_of(now, peer));
    }

    fn useless(&mut self, now: Monotonic, address: &str, text: String, actions: &mut Vec<Action>) {
        let Some(link) = self.links.get_mut(address) else { return };
        if !link.configured {
            self.links.remove(address);
            return;
        }
        link.next = Some(now + self.retry_max);
        if let Some(peer) = link.peer.as_ref().filter(|_| link.reached) {
            actions.push(Action::Lost(peer.clone(), text.clone()));
        }
        (link.reached, link.since) = (false, now);
        if link.told != text {
            link.told.clone_from(&text);
            actions.push(Action::Useless(address.to_owned(), text));
        }
    }

    fn failed(&mut self, now: Monotonic, address: &str, reason: String, actions: &mut Vec<Action>) {
        let Some(link) = self.links.get_mut(address) else { return };
        let pause = FIRST_RETRY.saturating_mul(1 << link.failures.min(16)).min(self.retry_max);
        // Servers that lost the same one do not come all at once.
        let jitter = pause.mul_f64(self.rng.unit() / 4.0);
        link.failures = link.failures.saturating_add(1);
        link.next = Some(now + pause + jitter);
        if link.reached {
            (link.reached, link.since) = (false, now);
            if let Some(peer) = link.peer.clone() {
                actions.push(Action::Lost(peer, reason));
            }
        } else if link.configured && link.peer.is_none() && link.told != reason {
            link.told.clone_from(&reason);
            actions.push(Action::Useless(address.to_owned(), reason));
        } else if !link.configured && now.since(link.since) >= if link.peer.is_some() { FORGOTTEN_AFTER } else { DOUBTED_AFTER } {
            self.links.remove(address);
        }
    }
}

impl Server {
    fn regions(&self) -> MutexGuard<'_, Regions> {
        self.0.regions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up what the agent's loop has heard of other regions, and tells what to do.
    pub fn heard_of_regions(&self, event: Event) -> Vec<Action> {
        let actions = self.regions().handle(self.0.clock.monotonic(), event);
        if actions.iter().any(|action| matches!(action, Action::Reached(_) | Action::Lost(..))) {
            self.0.regions_changed.notify_waiters();
        }
        actions
    }

    /// A server of another region has greeted this one.
    pub(crate) fn greeted(&self, greeting: Greeting) -> Result<Greeting, Refusal> {
        let mut regions = self.regions();
        let due = regions.next_deadline();
        let answer = regions.visited(self.0.clock.monotonic(), greeting);
        if regions.next_deadline() != due {
            self.0.regions_changed.notify_waiters();
        }
        answer
    }

    /// What this server tells those of other regions.
    pub fn region_greeting(&self) -> Greeting {
        self.regions().greeting()
    }

    /// When [`Event::Tick`] is due.
    pub fn regions_due(&self) -> Option<Monotonic> {
        self.regions().next_deadline()
    }

    /// Returns when another region was reached or lost since the call, or [`Self::regions_due`] may be earlier.
    pub fn regions_changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.0.regions_changed.notified()
    }

    /// The regions that can be reached and this one, in order.
    pub fn region_names(&self) -> Vec<String> {
        self.regions().names()
    }

    /// The servers of other regions.
    pub fn region_members(&self) -> Vec<Member> {
        self.regions().members()
    }

    /// Whether any other region is reached.
    pub fn knows_regions(&self) -> bool {
        self.regions().links.values().any(|link| link.reached)
    }

    /// The region that writes what all regions share: policies, roles, global tokens, auth methods, binding rules, namespaces and node
    /// pools. None while ACLs are off: then each region has its own.
    pub fn shared_region(&self) -> Option<&str> {
        self.acl_enabled().then_some(self.0.config.authoritative_region.as_str())
    }

    /// Where servers of a region are reached, the best first.
    pub fn ways_to_region(&self, region: &str) -> Vec<String> {
        self.regions().ways(region)
    }

    /// The same of those alone that the configuration names.
    pub fn named_ways_to_region(&self, region: &str) -> Vec<String> {
        self.regions().named_ways(region)
    }
}

#[cfg(test)]
mod tests;
