//! How an agent is reached: address, region, namespace, token and TLS, given in code or taken from the environment.

/// The address used when none is given.
pub const DEFAULT_ADDRESS: &str = "http://127.0.0.1:4646";

/// Where the address of a client came from, so that an error can say what to change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Nobody gave one.
    #[default]
    Default,
    /// The program that uses the client.
    Given,
    /// A flag of the command line, as `-address`.
    Flag(&'static str),
    /// A variable of the environment, as `DROVER_ADDR`.
    Variable(String),
}

/// How to reach an agent.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// `http://host:port`, `https://…`, `unix:///path`; a bare `host:port` is http.
    pub address: String,
    /// Where the address came from.
    pub origin: Origin,
    /// The region that requests are for, "" for the agent's.
    pub region: String,
    /// The namespace that requests are in, "" for `default`.
    pub namespace: String,
    /// The ACL token, "" for none.
    pub token: String,
    /// `user:password` for a proxy in front of the API, "" for none.
    pub basic_auth: String,
    /// PEM file of trusted authorities.
    pub ca_cert: String,
    /// Directory of PEM files of trusted authorities.
    pub ca_path: String,
    /// PEM file of the own certificate.
    pub client_cert: String,
    /// PEM file of the own key.
    pub client_key: String,
    /// The name expected in the agent's certificate.
    pub tls_server_name: String,
    /// Whether any certificate is accepted.
    pub tls_skip_verify: bool,
    /// How often a read that failed is tried again.
    pub retry: crate::Retry,
}

impl Config {
    /// The settings in the variables of the process: `DROVER_ADDR`, `DROVER_TOKEN` and so on, or `NOMAD_ADDR` and so on.
    ///
    /// ```
    /// let config = drover_sdk::Config::from_environment();
    /// let client = drover_sdk::Client::new(config).expect("the settings are good");
    /// println!("talking to {}", client.address());
    /// ```
    pub fn from_environment() -> Self {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// The settings in given variables. An empty variable counts as none.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let find = |setting: &str| {
            let names = [format!("DROVER_{setting}"), format!("NOMAD_{setting}")];
            names.into_iter().find_map(|name| Some((variable(&name).filter(|value| !value.is_empty())?, name)))
        };
        let text = |setting: &str| find(setting).map(|(value, _)| value).unwrap_or_default();
        let (address, origin) = match find("ADDR") {
            Some((value, name)) => (value, Origin::Variable(name)),
            None => (String::new(), Origin::Default),
        };
        let skip = text("SKIP_VERIFY");
        Self {
            address,
            origin,
            region: text("REGION"),
            namespace: text("NAMESPACE"),
            token: text("TOKEN"),
            basic_auth: text("HTTP_AUTH"),
            ca_cert: text("CACERT"),
            ca_path: text("CAPATH"),
            client_cert: text("CLIENT_CERT"),
            client_key: text("CLIENT_KEY"),
            tls_server_name: text("TLS_SERVER_NAME"),
            tls_skip_verify: matches!(skip.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True"),
            retry: crate::Retry::default(),
        }
    }

    /// With another address.
    #[must_use]
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.address = address.into();
        self.origin = Origin::Given;
        self
    }

    /// With another token.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = token.into();
        self
    }

    /// In another region.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = region.into();
        self
    }

    /// In another namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// What to say to somebody whose agent could not be reached: the address, who named it, and what would change it.
    pub fn unreachable(&self) -> String {
        let address = if self.address.is_empty() { DEFAULT_ADDRESS } else { &self.address };
        let source = match &self.origin {
            Origin::Default => "the default".to_owned(),
            Origin::Given => "as the program says".to_owned(),
            Origin::Flag(flag) => format!("which {flag} says"),
            Origin::Variable(name) => format!("which {name} says"),
        };
        format!("No agent could be reached at {address}, {source}; set another address with -address or DROVER_ADDR.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_sets_everything_and_the_own_names_win() {
        let config = Config::from_variables(|name| {
            Some(match name {
                "NOMAD_ADDR" => "https://n:1".to_owned(),
                "DROVER_ADDR" => String::new(),
                "DROVER_TOKEN" => "mine".to_owned(),
                "NOMAD_TOKEN" => "theirs".to_owned(),
                "NOMAD_SKIP_VERIFY" => "1".to_owned(),
                "NOMAD_NAMESPACE" => "team".to_owned(),
                _ => return None,
            })
        });
        assert_eq!((config.address.as_str(), config.token.as_str(), config.namespace.as_str()), ("https://n:1", "mine", "team"));
        assert!(config.tls_skip_verify);
        let text = config.unreachable();
        assert!(text.contains("https://n:1, which NOMAD_ADDR says;") && text.contains("DROVER_ADDR"), "{text}");
        assert!(Config::default().unreachable().contains("http://127.0.0.1:4646, the default;"));
    }
}
