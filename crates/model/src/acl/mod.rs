//! Access control: what is stored about it, and what follows from it for a caller.

mod access;
mod capability;
mod rules;
#[cfg(test)]
mod tests;

use drover_api as api;
use drover_base::WallTime;
use minicbor::{Decode, Encode};

use crate::Index;
use crate::mirror::Carried;

pub use access::{Access, Workload};
pub use capability::{Capability, HostVolumeCapability, NodePoolCapability, OperatorCapability, VariableCapability};
pub use rules::parse as parse_rules;

/// The policy of requests without a token.
pub const ANONYMOUS: &str = "anonymous";

/// The workloads that a policy is attached to.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct PolicyTarget {
    /// Their namespace.
    #[n(0)]
    pub namespace: String,
    /// Their job; "" for all.
    #[n(1)]
    pub job: String,
    /// Their group; "" for all.
    #[n(2)]
    pub group: String,
    /// Their task; "" for all.
    #[n(3)]
    pub task: String,
}

/// A policy.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct AclPolicy {
    /// The name.
    #[n(0)]
    pub name: String,
    /// What it is for.
    #[n(1)]
    #[cbor(default)]
    pub description: String,
    /// The rules as they were written.
    #[n(2)]
    #[cbor(default)]
    pub rules: String,
    /// The workloads it is attached to.
    #[n(3)]
    pub target: Option<PolicyTarget>,
    /// The log entry that made it.
    #[n(4)]
    #[cbor(default)]
    pub create_index: Index,
    /// The last change.
    #[n(5)]
    #[cbor(default)]
    pub modify_index: Index,
}

text_enum! {
    /// What kind of token one is.
    TokenType { 0 Client = "client", 1 Management = "management", }
}

/// A token.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct AclToken {
    /// What it is called by.
    #[n(0)]
    pub accessor: String,
    /// What its holder sends.
    #[n(1)]
    pub secret: String,
    /// The name.
    #[n(2)]
    #[cbor(default)]
    pub name: String,
    /// Its kind.
    #[n(3)]
    #[cbor(default)]
    pub kind: TokenType,
    /// Its policies by name.
    #[n(4)]
    #[cbor(default)]
    pub policies: Vec<String>,
    /// Its roles by id.
    #[n(5)]
    #[cbor(default)]
    pub roles: Vec<String>,
    /// Whether it is good in every region.
    #[n(6)]
    #[cbor(default)]
    pub global: bool,
    /// When it was made.
    #[n(7)]
    #[cbor(default)]
    pub create_time: WallTime,
    /// When it ends; zero for never.
    #[n(8)]
    #[cbor(default)]
    pub expiration_time: WallTime,
    /// How long it was made for.
    #[n(9)]
    #[cbor(default)]
    pub expiration_ttl_ns: i64,
    /// The log entry that made it.
    #[n(10)]
    #[cbor(default)]
    pub create_index: Index,
    /// The last change.
    #[n(11)]
    #[cbor(default)]
    pub modify_index: Index,
}

impl AclToken {
    /// Whether it has ended.
    pub fn expired(&self, now: WallTime) -> bool {
        !self.expiration_time.is_zero() && self.expiration_time <= now
    }
}

/// A role: policies under one name.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct AclRole {
    /// The id.
    #[n(0)]
    pub id: String,
    /// The name, unique.
    #[n(1)]
    pub name: String,
    /// What it is for.
    #[n(2)]
    #[cbor(default)]
    pub description: String,
    /// Its policies by name.
    #[n(3)]
    #[cbor(default)]
    pub policies: Vec<String>,
    /// The log entry that made it.
    #[n(4)]
    #[cbor(default)]
    pub create_index: Index,
    /// The last change.
    #[n(5)]
    #[cbor(default)]
    pub modify_index: Index,
}

text_enum! {
    /// How an auth method knows who somebody is.
    AuthMethodType { 0 Jwt = "JWT", 1 Oidc = "OIDC", }
}
text_enum! {
    /// Where tokens of an auth method are good.
    TokenLocality { 0 Local = "local", 1 Global = "global", }
}

/// A way to log in.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct AuthMethod {
    /// The name.
    #[n(0)]
    pub name: String,
    /// Its kind.
    #[n(1)]
    pub kind: AuthMethodType,
    /// Where its tokens are good.
    #[n(2)]
    pub locality: TokenLocality,
    /// How its tokens are named.
    #[n(3)]
    #[cbor(default)]
    pub token_name_format: String,
    /// How long its tokens last at most.
    #[n(4)]
    #[cbor(default)]
    pub max_token_ttl_ns: i64,
    /// Whether it is taken where none is named.
    #[n(5)]
    #[cbor(default)]
    pub default: bool,
    /// Who to believe.
    #[n(6)]
    pub config: Carried<api::ACLAuthMethodConfig>,
    /// When it was made.
    #[n(7)]
    #[cbor(default)]
    pub create_time: WallTime,
    /// The time of the last change.
    #[n(8)]
    #[cbor(default)]
    pub modify_time: WallTime,
    /// The log entry that made it.
    #[n(9)]
    #[cbor(default)]
    pub create_index: Index,
    /// The last change.
    #[n(10)]
    #[cbor(default)]
    pub modify_index: Index,
}

/// What somebody gets who logs in.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct BindingRule {
    /// The id.
    #[n(0)]
    pub id: String,
    /// What it is for.
    #[n(1)]
    #[cbor(default)]
    pub description: String,
    /// The auth method.
    #[n(2)]
    pub auth_method: String,
    /// A condition on what the method says about somebody; "" for everybody.
    #[n(3)]
    #[cbor(default)]
    pub selector: String,
    /// `role`, `policy` or `management`.
    #[n(4)]
    pub bind_type: String,
    /// The role or policy.
    #[n(5)]
    #[cbor(default)]
    pub bind_name: String,
    /// When it was made.
    #[n(6)]
    #[cbor(default)]
    pub create_time: WallTime,
    /// The time of the last change.
    #[n(7)]
    #[cbor(default)]
    pub modify_time: WallTime,
    /// The log entry that made it.
    #[n(8)]
    #[cbor(default)]
    pub create_index: Index,
    /// The last change.
    #[n(9)]
    #[cbor(default)]
    pub modify_index: Index,
}

/// A policy with its rules as they were understood.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyRow {
    /// The policy.
    pub policy: AclPolicy,
    /// Its rules in their long form. What is stored and not understood allows nothing.
    pub rules: api::ACLPolicyRules,
}

impl PolicyRow {
    /// A stored policy.
    pub fn new(policy: AclPolicy) -> Self {
        let rules = rules::parse_stored(&policy.rules);
        Self { policy, rules }
    }
}

/// Objects to write, in one entry.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct AclObjects {
    /// Policies.
    #[n(0)]
    #[cbor(default)]
    pub policies: Vec<AclPolicy>,
    /// Tokens.
    #[n(1)]
    #[cbor(default)]
    pub tokens: Vec<AclToken>,
    /// Roles.
    #[n(2)]
    #[cbor(default)]
    pub roles: Vec<AclRole>,
    /// Auth methods.
    #[n(3)]
    #[cbor(default)]
    pub auth_methods: Vec<AuthMethod>,
    /// Binding rules.
    #[n(4)]
    #[cbor(default)]
    pub binding_rules: Vec<BindingRule>,
    /// One-time tokens.
    #[n(5)]
    #[cbor(default)]
    pub one_time_tokens: Vec<OneTimeToken>,
}

/// Objects to delete, in one entry.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct AclNames {
    /// Policies by name.
    #[n(0)]
    #[cbor(default)]
    pub policies: Vec<String>,
    /// Tokens by accessor.
    #[n(1)]
    #[cbor(default)]
    pub tokens: Vec<String>,
    /// Roles by id.
    #[n(2)]
    #[cbor(default)]
    pub roles: Vec<String>,
    /// Auth methods by name.
    #[n(3)]
    #[cbor(default)]
    pub auth_methods: Vec<String>,
    /// Binding rules by id.
    #[n(4)]
    #[cbor(default)]
    pub binding_rules: Vec<String>,
    /// One-time tokens by secret.
    #[n(5)]
    #[cbor(default)]
    pub one_time_tokens: Vec<String>,
}

/// A secret that is exchanged for a token once.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct OneTimeToken {
    /// The secret.
    #[n(0)]
    pub secret: String,
    /// The token that it stands for.
    #[n(1)]
    pub accessor: String,
    /// When it ends.
    #[n(2)]
    pub expires: WallTime,
    /// The log entry that made it.
    #[n(3)]
    #[cbor(default)]
    pub create_index: Index,
    /// The last change.
    #[n(4)]
    #[cbor(default)]
    pub modify_index: Index,
}
