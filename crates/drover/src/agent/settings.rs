//! From flags and files to what the agent does. What would promise safety that is not built is refused, not ignored.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use drover_cli::AgentArgs;
use drover_client::template::interfaces;
use drover_lang::config::{AgentConfig, Partial, RAFT_PROTOCOL, in_order, read as read_config};
use drover_lang::diag::{Problem, Source, render};
use drover_lang::sockaddr::{interface_name, one_address};

/// What `-dev` says, under the files and flags.
const DEV: &str = r#"
bind_addr = "127.0.0.1"
server { enabled = true }
client {
  enabled           = true
  network_interface = "lo"
}
plugin "raw_exec" { config { enabled = true } }
"#;

/// The largest configuration file that is read, in bytes.
const FILE_MAX: u64 = 4 << 20;

/// Everything the agent was told.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) dev: bool,
    pub(crate) config: AgentConfig,
    pub(crate) partial: Partial,
    pub(crate) warnings: Vec<String>,
    /// Where state lives; a temporary directory that goes away in development mode.
    pub(crate) data_dir: PathBuf,
    pub(crate) http_bind: IpAddr,
    pub(crate) http_port: u16,
    pub(crate) files: Vec<String>,
    /// Where the agent channel listens.
    pub(crate) rpc_bind: IpAddr,
    /// The port of the agent channel.
    pub(crate) rpc_port: u16,
    /// What it was started with, to read the files again.
    pub(crate) args: AgentArgs,
}

/// Why the agent does not start.
#[derive(Debug)]
pub(crate) struct Refusal(String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn refuse<T>(text: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal(text.into()))
}

/// Reads files, lays flags over them, and checks what cannot be started.
pub(crate) fn load(args: &AgentArgs) -> Result<Settings, Refusal> {
    let (mut partial, mut problems) = (Partial::default(), Vec::new());
    if args.dev {
        (partial, problems) = read_config(&Source::new("-dev", DEV));
    }
    let (mut files, mut sources) = (Vec::new(), Vec::new());
    for path in &args.config {
        for file in config_files(Path::new(path))? {
            let source = Source::new(file.display().to_string(), read(&file)?);
            let (told, found) = read_config(&source);
            partial = partial.merge(&told);
            problems.extend(found);
            files.push(file.display().to_string());
            sources.push(source);
        }
    }
    let readable = !problems.iter().any(Problem::is_error);
    let (mut config, found) = partial.examine(&sources, |config| flags(config, args));
    problems.extend(found);
    if readable {
        problems.extend(config.missing(args.dev));
    }
    if args.encrypt.is_some() {
        return refuse(
            "-encrypt asks for gossip encryption, which this version of Drover does not have yet. It does not start rather than run without it.",
        );
    }
    in_order(&mut problems, &sources);
    let all: Vec<&Source> = sources.iter().collect();
    let (errors, told): (Vec<Problem>, Vec<Problem>) = problems.into_iter().partition(Problem::is_error);
    if !errors.is_empty() {
        return Err(explain(&errors, &all));
    }
    let mut warnings: Vec<String> = told.iter().map(|warning| render(warning, &all)).collect();
    for key in partial.without_effect() {
        warnings.push(format!("configuration key {key:?} has no effect in this version of Drover"));
    }
    templates(&mut config)?;
    check(&config)?;
    if config.name.is_empty() {
        config.name = host_name();
    }
    let http_bind = address("HTTP", &config.addresses.http, &config.bind_addr)?;
    let rpc_bind = address("RPC", &config.addresses.rpc, &config.bind_addr)?;
    let data_dir = if args.dev { PathBuf::new() } else { absolute(&config.data_dir) };
    let port = |port: i64| u16::try_from(port).map_err(|_| Refusal(format!("invalid port {port}")));
    let (http_port, rpc_port) = (port(config.ports.http)?, port(config.ports.rpc)?);
    Ok(Settings { dev: args.dev, config, partial, warnings, data_dir, http_bind, http_port, rpc_bind, rpc_port, files, args: args.clone() })
}

/// Replaces address templates by what they stand for on this host.
fn templates(config: &mut AgentConfig) -> Result<(), Refusal> {
    let fields = [
        ("bind_addr", &mut config.bind_addr),
        ("addresses.http", &mut config.addresses.http),
        ("addresses.rpc", &mut config.addresses.rpc),
        ("addresses.serf", &mut config.addresses.serf),
        ("advertise.http", &mut config.advertise.http),
        ("advertise.rpc", &mut config.advertise.rpc),
        ("advertise.serf", &mut config.advertise.serf),
    ];
    let mut host = None;
    for (name, field) in fields {
        if field.contains("{{") {
            let host = host.get_or_insert_with(interfaces);
            *field = one_address(field, host).map_err(|error| Refusal(format!("{name}: {error}")))?;
        }
    }
    let interface = &mut config.client.network_interface;
    if interface.contains("{{") {
        *interface = interface_name(interface, &host.unwrap_or_else(interfaces))
            .map_err(|error| Refusal(format!("client.network_interface: {error}")))?;
    }
    Ok(())
}

/// Where to listen: what is configured for the protocol, else for everything, else on every interface.
fn address(protocol: &str, own: &str, general: &str) -> Result<IpAddr, Refusal> {
    let text = [own, general].into_iter().find(|text| !text.is_empty()).unwrap_or("0.0.0.0");
    text.parse().map_err(|_| {
        Refusal(format!(
            "Failed to parse the {protocol} address {text:?}: give an IP address such as 127.0.0.1, or a template such as {{{{ GetPrivateIP }}}}"
        ))
    })
}

/// All problems; one that stands nowhere in a file as the sentence that it is.
fn explain(problems: &[Problem], sources: &[&Source]) -> Refusal {
    let sentence = |problem: &Problem| match problem.place {
        Some(_) => render(problem, sources),
        None => problem.detail.clone(),
    };
    let texts: Vec<String> = problems.iter().map(sentence).collect();
    let placed = problems.iter().any(|problem| problem.place.is_some());
    Refusal(if placed { format!("Error loading configuration:\n\n{}", texts.join("\n")) } else { texts.join("\n") })
}

/// The files that a path names: itself, or the `.hcl` and `.json` files of a directory in the order of their names.
fn config_files(path: &Path) -> Result<Vec<PathBuf>, Refusal> {
    let failed = |error: std::io::Error| {
        let reason = match error.kind() {
            std::io::ErrorKind::NotFound => format!("stat {}: no such file or directory", path.display()),
            _ => error.to_string(),
        };
        Refusal(format!("Error loading configuration from {}: {reason}", path.display()))
    };
    if !std::fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let leftover = name.starts_with('.') || name.ends_with('~') || name.starts_with('#');
        let known = file.extension().is_some_and(|extension| extension == "hcl" || extension == "json");
        if known && !leftover && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<String, Refusal> {
    let failed = |reason: String| Refusal(format!("Error loading configuration from {}: {reason}", path.display()));
    let size = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if size > FILE_MAX {
        return Err(failed(format!("the file has {size} bytes, at most {FILE_MAX} are read")));
    }
    std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))
}

/// Flags win over files.
fn flags(config: &mut AgentConfig, args: &AgentArgs) {
    let set = |target: &mut String, flag: &Option<String>| {
        if let Some(value) = flag {
            target.clone_from(value);
        }
    };
    set(&mut config.bind_addr, &args.bind);
    set(&mut config.data_dir, &args.data_dir);
    set(&mut config.datacenter, &args.dc);
    set(&mut config.region, &args.region);
    set(&mut config.name, &args.node);
    set(&mut config.log_level, &args.log_level);
    set(&mut config.plugin_dir, &args.plugin_dir);
    set(&mut config.client.state_dir, &args.state_dir);
    set(&mut config.client.alloc_dir, &args.alloc_dir);
    set(&mut config.client.node_class, &args.node_class);
    set(&mut config.client.node_pool, &args.node_pool);
    set(&mut config.client.network_interface, &args.network_interface);
    config.log_json = args.log_json.unwrap_or(config.log_json);
    config.log_include_location = args.log_include_location.unwrap_or(config.log_include_location);
    config.acl.enabled |= args.acl_enabled;
    config.server.enabled = args.server.unwrap_or(config.server.enabled);
    config.client.enabled = args.client.unwrap_or(config.client.enabled);
    if let Some(count) = args.bootstrap_expect {
        config.server.bootstrap_expect = i64::from(count);
    }
    if !args.servers.is_empty() {
        config.client.servers.clone_from(&args.servers);
    }
    config.client.meta.extend(args.meta.iter().cloned());
}

/// What agents of this version do not do beyond what their configuration says of itself.
fn check(config: &AgentConfig) -> Result<(), Refusal> {
    const _: () = assert!(RAFT_PROTOCOL == drover_raft::PROTOCOL as i64);
    if !config.server.enabled && super::startup::server_addresses(config).is_empty() {
        return refuse(
            "A client needs to know where its servers are: name them in client { servers = [\"10.0.0.5:4647\"] }, in client { server_join { retry_join = […] } } or with -servers. This version of Drover does not find them by itself.",
        );
    }
    Ok(())
}

fn absolute(path: &str) -> PathBuf {
    let path = Path::new(path);
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use drover_macros::proves;

    use super::*;

    fn with(file: &str, words: &[&str]) -> Result<Settings, Refusal> {
        let directory = std::env::temp_dir().join(format!("drover-settings-{}-{:?}", std::process::id(), std::thread::current().id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("agent.hcl");
        std::fs::write(&path, file).unwrap();
        let mut line: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        line.push(format!("-config={}", path.display()));
        let loaded = load(&AgentArgs::parse(&line).unwrap());
        std::fs::remove_dir_all(&directory).unwrap();
        loaded
    }

    #[test]
    fn flags_win_over_files_and_files_over_dev() {
        let settings = with("datacenter = \"a\"\nregion = \"b\"\nbind_addr = \"127.0.0.2\"", &["-dev", "-dc", "c"]).unwrap();
        assert_eq!((settings.config.datacenter.as_str(), settings.config.region.as_str()), ("c", "b"));
        assert_eq!(settings.http_bind.to_string(), "127.0.0.2");
        assert!(settings.config.client.enabled && settings.config.server.enabled);
    }

    #[test]
    fn what_would_promise_safety_is_refused() {
        for (file, key) in [("tls { rpc = true }", "tls.rpc"), ("server { encrypt = \"MTIzNDU2Nzg5MDEyMzQ1Ng==\" }", "server.encrypt")] {
            let refusal = with(file, &["-dev"]).unwrap_err().to_string();
            assert!(refusal.contains(key) && refusal.contains("does not start"), "{refusal}");
        }
    }

    #[test]
    fn tls_is_asked_for_as_a_whole() {
        let files = "cert_file = \"a\"\nkey_file = \"b\"\n";
        for (file, said) in [
            ("tls { http = true }".to_owned(), "tls.cert_file"),
            ("tls {\nhttp = true\ncert_file = \"a\"\n}".to_owned(), "tls.key_file"),
            (format!("tls {{\nhttp = true\nverify_https_client = true\n{files}}}"), "tls.ca_file"),
            (format!("tls {{\nhttp = true\ntls_min_version = \"ssl3\"\n{files}}}"), "tls12"),
        ] {
            let refusal = with(&file, &["-dev"]).unwrap_err().to_string();
            assert!(refusal.contains(said), "{file}: {refusal}");
        }
        assert!(with(&format!("tls {{\nhttp = true\n{files}}}"), &["-dev"]).unwrap().config.tls.http);
    }

    #[test]
    fn keys_without_effect_are_named() {
        let settings =
            with("leave_on_terminate = true\nconsul { address = \"x\" }\nclient { no_host_uuid = true\nmeta { a = \"b\" } }", &["-dev"])
                .unwrap();
        let told: Vec<bool> = ["leave_on_terminate", "\"consul\"", "client.no_host_uuid"]
            .iter()
            .map(|key| settings.warnings.iter().any(|warning| warning.contains(key)))
            .collect();
        assert_eq!((told, settings.warnings.len()), (vec![true; 3], 3), "{:?}", settings.warnings);
    }

    #[test]
    fn addresses_may_be_templates() {
        let settings = with("bind_addr = \"{{ GetInterfaceIP \\\"lo\\\" }}\"", &["-dev"]).unwrap();
        assert_eq!(settings.http_bind.to_string(), "127.0.0.1");
        let refusal = with("bind_addr = \"{{ NoSuchThing }}\"", &["-dev"]).unwrap_err().to_string();
        assert!(refusal.contains("bind_addr") && refusal.contains("NoSuchThing"), "{refusal}");
    }

    #[proves("RFT-021")]
    #[test]
    fn only_protocol_3_is_accepted() {
        assert!(with("server { raft_protocol = 3 }", &["-dev"]).is_ok());
        let refusal = with("server { raft_protocol = 2 }", &["-dev"]).unwrap_err().to_string();
        assert!(refusal.contains("raft_protocol must be 3"), "{refusal}");
    }

    #[test]
    fn a_mode_and_a_data_dir_are_required() {
        assert!(with("", &[]).unwrap_err().to_string().contains("Must specify either server, client or dev mode"));
        assert!(with("server { enabled = true }", &[]).unwrap_err().to_string().contains("data_dir"));
        assert!(
            with("server { enabled = true\nbootstrap_expect = 3 }", &["-data-dir", "/x"]).unwrap_err().to_string().contains("Set it to 1")
        );
    }

    #[test]
    fn a_broken_file_names_the_place() {
        let refusal = with("server {\n  enabled = maybe\n}\nlog_level = ", &["-dev"]).unwrap_err().to_string();
        assert!(refusal.contains("agent.hcl") && refusal.contains(':'), "{refusal}");
    }
}
