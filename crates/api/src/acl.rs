//! Access control, identities and single sign-on.

use drover_macros::Wire;

use crate::wire::Base64;
use crate::{ACLRolePolicyLink, ACLToken, ACLTokenRoleLink, JobACL};

/// The JSON object `ACLAuthMethodListStub`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ACLAuthMethodListStub {
    pub name: String,
    pub r#type: String,
    pub default: bool,
    pub create_index: u64,
    pub modify_index: u64,
    /// Server emits/accepts it; missing from the Go SDK type; standard base64 of bytes.
    pub hash: Option<Base64>,
}

/// The JSON object `ACLBindingRuleListStub`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ACLBindingRuleListStub {
    pub id: String,
    pub description: String,
    pub auth_method: String,
    pub create_index: u64,
    pub modify_index: u64,
    /// Server emits/accepts it; missing from the Go SDK type; standard base64 of bytes.
    pub hash: Option<Base64>,
}

/// The JSON object `ACLIdentityClientIntroductionTokenRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ACLIdentityClientIntroductionTokenRequest {
    /// Go duration string such as "30s"; number of nanoseconds also accepted on input; "" when zero; default: server default_identity_ttl.
    #[wire("TTL")]
    pub ttl: String,
    pub node_name: String,
    /// Default: "default".
    pub node_pool: String,
}

/// The JSON object `ACLIdentityClientIntroductionTokenResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ACLIdentityClientIntroductionTokenResponse {
    #[wire("JWT")]
    pub jwt: String,
}

/// The JSON object `ACLLoginRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ACLLoginRequest {
    pub auth_method_name: String,
    pub login_token: String,
}

/// The JSON object `ACLOIDCAuthURLRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ACLOIDCAuthURLRequest {
    pub auth_method_name: String,
    #[wire("RedirectURI")]
    pub redirect_uri: String,
    pub client_nonce: String,
}

/// The JSON object `ACLOIDCAuthURLResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ACLOIDCAuthURLResponse {
    #[wire("AuthURL")]
    pub auth_url: String,
}

/// The JSON object `ACLOIDCCompleteAuthRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ACLOIDCCompleteAuthRequest {
    pub auth_method_name: String,
    pub client_nonce: String,
    pub state: String,
    pub code: String,
    pub iss: String,
    #[wire("RedirectURI")]
    pub redirect_uri: String,
}

/// The JSON object `ACLPolicyListStub`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ACLPolicyListStub {
    pub name: String,
    pub description: String,
    #[wire("JobACL")]
    pub job_acl: Option<JobACL>,
    pub create_index: u64,
    pub modify_index: u64,
    /// Server emits/accepts it; missing from the Go SDK type; standard base64 of bytes.
    pub hash: Option<Base64>,
}

/// The JSON object `ACLRoleListStub`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ACLRoleListStub {
    pub id: String,
    pub name: String,
    pub description: String,
    pub policies: Option<Vec<ACLRolePolicyLink>>,
    pub create_index: u64,
    pub modify_index: u64,
    /// Server emits/accepts it; missing from the Go SDK type; standard base64 of bytes.
    pub hash: Option<Base64>,
}

/// The JSON object `ACLTokenListStub`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct ACLTokenListStub {
    pub accessor_id: String,
    pub name: String,
    pub r#type: String,
    pub policies: Option<Vec<String>>,
    pub roles: Option<Vec<ACLTokenRoleLink>>,
    pub global: bool,
    /// RFC 3339; zero time is sent as null.
    pub create_time: Option<String>,
    pub expiration_time: Option<String>,
    pub create_index: u64,
    pub modify_index: u64,
    /// Server emits/accepts it; missing from the Go SDK type; standard base64 of bytes.
    pub hash: Option<Base64>,
}

/// The JSON object `JSONWebKey`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JSONWebKey {
    /// RSA (or OKP for old keys).
    #[wire("kty")]
    pub kty: String,
    /// Root key UUID.
    #[wire("kid")]
    pub kid: String,
    /// Sig.
    #[wire("use")]
    pub r#use: String,
    /// RS256 or EdDSA.
    #[wire("alg")]
    pub alg: String,
    /// RSA modulus, base64url; RSA only.
    #[wire("n")]
    pub n: String,
    /// RSA exponent, base64url; RSA only.
    #[wire("e")]
    pub e: String,
    /// Ed25519; OKP only.
    #[wire("crv")]
    pub crv: String,
    /// Public key, base64url; OKP only.
    #[wire("x")]
    pub x: String,
}

/// The JSON object `JSONWebKeySet`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct JSONWebKeySet {
    /// Always an array.
    #[wire("keys")]
    pub keys: Vec<JSONWebKey>,
}

/// The JSON object `OIDCDiscoveryConfig`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct OIDCDiscoveryConfig {
    #[wire("issuer")]
    pub issuer: String,
    #[wire("jwks_uri")]
    pub jwks_uri: String,
    #[wire("id_token_signing_alg_values_supported")]
    pub id_token_signing_alg_values_supported: Option<Vec<String>>,
    #[wire("response_types_supported")]
    pub response_types_supported: Option<Vec<String>>,
    #[wire("subject_types_supported")]
    pub subject_types_supported: Option<Vec<String>>,
}

/// The JSON object `OneTimeToken`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct OneTimeToken {
    pub one_time_secret_id: String,
    pub accessor_id: String,
    /// Zero time is sent as null.
    pub expires_at: Option<String>,
    pub create_index: u64,
    pub modify_index: u64,
}

/// The JSON object `OneTimeTokenExchangeRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct OneTimeTokenExchangeRequest {
    pub one_time_secret_id: String,
}

/// The JSON object `OneTimeTokenExchangeResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct OneTimeTokenExchangeResponse {
    pub token: Option<ACLToken>,
    /// Reply metadata also in headers.
    pub index: u64,
}

/// The JSON object `OneTimeTokenUpsertResponse`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct OneTimeTokenUpsertResponse {
    pub one_time_token: Option<OneTimeToken>,
    /// Reply metadata also in headers.
    pub index: u64,
}

/// The JSON object `BootstrapRequest`.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct BootstrapRequest {
    /// Must be a UUID.
    pub bootstrap_secret: String,
    /// Internal, clients ignore it.
    pub token: Option<ACLToken>,
    /// Internal, clients ignore it.
    pub reset_index: u64,
}
