//! `tls ca|cert create|info`: certificates for the agents of a region, made on this machine.

use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use drover_base::WallTime;
use drover_rt::Entropy;

use crate::command::{Context, Failure, Outcome};
use crate::flags::Flag;
use crate::row;
use crate::text::table_with_blanks;
use crate::x509::{Attribute, Certificate, Key, Name, decimal, read_certificate, serial, sign};

pub(super) const CA_FLAGS: &[Flag] = &[
    Flag::values("additional-domain", "domain", "One more domain that the authority may sign for; needs -name-constraint."),
    Flag::value("common-name", "name", "The common name of the authority."),
    Flag::value("country", "code", "Its country."),
    Flag::value("days", "count", "How many days it is good. Default 1825."),
    Flag::value("domain", "domain", "The domain of the certificates that it signs. Default nomad."),
    Flag::value("locality", "name", "Its locality."),
    Flag::switch("name-constraint", "Let it sign for its domains, localhost and nothing else."),
    Flag::value("organization", "name", "Its organization."),
    Flag::value("organizational-unit", "name", "Its unit."),
    Flag::value("postal-code", "code", "Its postal code."),
    Flag::value("province", "name", "Its province."),
    Flag::value("street-address", "address", "Its street."),
];
pub(super) const CERT_FLAGS: &[Flag] = &[
    Flag::values("additional-dnsname", "name", "One more name that the certificate is good for."),
    Flag::values("additional-ipaddress", "address", "One more address that it is good for."),
    Flag::value("ca", "path", "The certificate of the authority. Default #DOMAIN#-agent-ca.pem."),
    Flag::switch("cli", "For the command line."),
    Flag::switch("client", "For a client."),
    Flag::value("days", "count", "How many days it is good. Default 365."),
    Flag::value("domain", "domain", "The domain of the region. Default nomad."),
    Flag::value("key", "path", "The key of the authority. Default #DOMAIN#-agent-ca-key.pem."),
    Flag::switch("server", "For a server."),
    Flag::value("region", "region", "The region. Default global, or NOMAD_REGION."),
];

const DAY: i64 = 86_400_000_000_000;
const DOMAIN: &str = "nomad";

fn write(context: &Context, name: &str, text: &str, mode: u32) -> Result<(), Failure> {
    let wrong = |error: std::io::Error| Failure::new(format!("Error saving {name}: {error}"));
    let path = context.environment.directory.join(name);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(wrong)?;
    file.write_all(text.as_bytes()).map_err(wrong)
}

fn exists(context: &Context, name: &str) -> bool {
    context.environment.directory.join(name).exists()
}

/// How long something is good, from now.
fn days(context: &Context, default: i64) -> Result<(WallTime, WallTime), Failure> {
    let wrong = |text: &str| Failure::usage(format!("invalid value {text:?} for flag -days: parse error"));
    let count = context.flags.text("days").map_or(Ok(default), |text| text.parse::<i64>().map_err(|_| wrong(text)))?;
    if count <= 0 {
        return Err(Failure::new("-days must be greater than 0"));
    }
    let now = context.clock.now().0 / 1_000_000_000 * 1_000_000_000;
    Ok((WallTime(now), WallTime(now.saturating_add(count.saturating_mul(DAY)))))
}

pub(super) async fn ca_create(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    let text = |flag: &str| context.flags.text(flag).map(str::to_owned);
    let domain = text("domain").unwrap_or_else(|| DOMAIN.to_owned());
    let constrained = context.flags.on("name-constraint");
    let more = context.flags.values("additional-domain");
    if domain != DOMAIN && !constrained {
        return Err(Failure::new("Please provide the -name-constraint flag to use a custom domain constraint"));
    }
    if !more.is_empty() && !constrained {
        return Err(Failure::new("Please provide the -name-constraint flag to use the -additional-domain flag"));
    }
    let (not_before, not_after) = days(context, 1_825)?;
    let (file, key_file) = (format!("{domain}-agent-ca.pem"), format!("{domain}-agent-ca-key.pem"));
    if exists(context, &file) {
        return Err(Failure::new(format!("CA certificate file '{file}' already exists")));
    }
    if exists(context, &key_file) {
        return Err(Failure::new(format!("CA key file '{key_file}' already exists")));
    }
    let wrong = |error: crate::x509::CertificateError| Failure::new(format!("Error creating the certificate authority: {error}"));
    let (serial, key) = (serial(&Entropy::system()), Key::generate().map_err(wrong)?);
    let fields = [
        (Attribute::Country, "country", "US"),
        (Attribute::Province, "province", "CA"),
        (Attribute::Locality, "locality", "San Francisco"),
        (Attribute::Street, "street-address", "101 Second Street"),
        (Attribute::PostalCode, "postal-code", "94105"),
        (Attribute::Organization, "organization", "HashiCorp Inc."),
        (Attribute::OrganizationalUnit, "organizational-unit", "Nomad"),
        (Attribute::CommonName, "common-name", ""),
    ];
    let own = fields.iter().any(|(_, flag, _)| text(flag).is_some());
    if own {
        for flag in ["common-name", "country", "organization", "organizational-unit"] {
            if text(flag).is_none() {
                return Err(Failure::new(format!("Please provide the -{flag} flag when customizing the CA")));
            }
        }
    }
    let common = format!("Nomad Agent CA {}", decimal(&serial));
    let name = fields
        .iter()
        .filter_map(|(attribute, flag, default)| {
            let default = if *attribute == Attribute::CommonName { common.as_str() } else { default };
            let value = text(flag).or_else(|| (!own).then(|| default.to_owned()))?;
            Some((*attribute, value))
        })
        .collect();
    let name = Name(name);
    let mut permitted_domains = Vec::new();
    if constrained {
        permitted_domains.extend(more.iter().cloned());
        permitted_domains.extend([domain.clone(), "localhost".to_owned()]);
    }
    let certificate = Certificate {
        serial,
        issuer: name.clone(),
        subject: name,
        not_before,
        not_after,
        authority: true,
        permitted_domains,
        ..Certificate::default()
    };
    let pem = sign(&certificate, &key, &key).map_err(wrong)?;
    write(context, &file, &pem, 0o644)?;
    context.ui.output(format!("==> CA certificate saved to: {file}"));
    write(context, &key_file, &key.pem(), 0o600)?;
    context.ui.output(format!("==> CA certificate key saved to: {key_file}"));
    Ok(0)
}

pub(super) async fn cert_create(context: &mut Context) -> Outcome {
    context.no_arguments()?;
    let [server, client, cli] = ["server", "client", "cli"].map(|flag| context.flags.on(flag));
    let role = match (server, client, cli) {
        (true, false, false) => "server",
        (false, true, false) => "client",
        (false, false, true) => "cli",
        (false, false, false) => return Err(Failure::new("Please provide either -server, -client, or -cli")),
        _ => return Err(Failure::new("Please provide either -server, -client, or -cli, but only one of them")),
    };
    let domain = context.flags.text("domain").unwrap_or(DOMAIN).to_owned();
    let region = context.flags.text("region").or_else(|| context.environment.setting("REGION")).unwrap_or("global").to_owned();
    let (not_before, not_after) = days(context, 365)?;
    let named = |flag: &str, default: &str| context.flags.text(flag).unwrap_or(default).replace("#DOMAIN#", &domain);
    let (ca_file, ca_key_file) = (named("ca", "#DOMAIN#-agent-ca.pem"), named("key", "#DOMAIN#-agent-ca-key.pem"));
    let base = format!("{region}-{role}-{domain}");
    let (file, key_file) = (format!("{base}.pem"), format!("{base}-key.pem"));
    for (what, name) in [("Certificate", &file), ("Certificate key", &key_file)] {
        if exists(context, name) {
            return Err(Failure::new(format!("{what} file '{name}' already exists")));
        }
    }
    let own = format!("{role}.{region}.{domain}");
    let mut dns_names: Vec<String> = context.flags.values("additional-dnsname").to_vec();
    dns_names.extend([own.clone(), "localhost".to_owned()]);
    let mut addresses: Vec<IpAddr> = Vec::new();
    for text in context.flags.values("additional-ipaddress") {
        addresses.push(text.parse().map_err(|_| Failure::new(format!("Invalid IP address {text:?}")))?);
    }
    if role != "cli" {
        addresses.push(IpAddr::from([127, 0, 0, 1]));
    }
    if role == "server" {
        context.ui.warn(
            "==> WARNING: Server Certificates grants authority to become a\n    server and access all state in the cluster including root \
             keys\n    and all ACL tokens. Do not distribute them to production hosts\n    that are not server nodes. Store them as \
             securely as CA keys.",
        );
    }
    let read = |name: &str, what: &str| {
        let text = std::fs::read_to_string(context.environment.directory.join(name));
        text.map_err(|error| Failure::new(format!("Error reading CA {what}: open {name}: {}", plain(&error))))
    };
    let (ca, ca_key) = (read(&ca_file, "certificate")?, read(&ca_key_file, "key")?);
    context.ui.output(format!("==> Using CA file {ca_file} and CA key {ca_key_file}"));
    let wrong = |error: crate::x509::CertificateError| Failure::new(format!("Error creating the certificate: {error}"));
    let authority = read_certificate(&ca).map_err(wrong)?;
    let (signer, key) = (Key::read(&ca_key).map_err(wrong)?, Key::generate().map_err(wrong)?);
    let certificate = Certificate {
        serial: serial(&Entropy::system()),
        issuer: authority.subject,
        subject: Name(vec![(Attribute::CommonName, own)]),
        not_before,
        not_after,
        dns_names,
        addresses,
        for_servers: role != "cli",
        for_clients: true,
        ..Certificate::default()
    };
    let pem = sign(&certificate, &key, &signer).map_err(wrong)?;
    let (title, short) = match role {
        "server" => ("Server", "Server"),
        "client" => ("Client", "Client"),
        _ => ("Cli", "CLI"),
    };
    write(context, &file, &pem, 0o644)?;
    context.ui.output(format!("==> {title} Certificate saved to {file}"));
    write(context, &key_file, &key.pem(), 0o600)?;
    context.ui.output(format!("==> {short} Certificate key saved to {key_file}"));
    Ok(0)
}

fn plain(error: &std::io::Error) -> String {
    if error.kind() == std::io::ErrorKind::NotFound { "no such file or directory".to_owned() } else { error.to_string() }
}

fn shown(context: &Context, what: &str) -> Result<Certificate, Failure> {
    let [name] = context.arguments() else { return Err(Failure::usage(format!("This command takes one argument: <{what}>"))) };
    let text = std::fs::read_to_string(context.environment.directory.join(Path::new(name)));
    let text = text.map_err(|error| Failure::new(format!("Error reading {what}: open {name}: {}", plain(&error))))?;
    read_certificate(&text).map_err(|error| Failure::new(format!("Error parsing {what}: {error}")))
}

fn common_rows(certificate: &Certificate) -> Vec<Vec<String>> {
    let expires = crate::text::Zone::utc().time(certificate.not_after);
    vec![
        row!["Serial Number", decimal(&certificate.serial)],
        row!["Issuer CN", certificate.issuer.common()],
        row!["Common Name", certificate.subject.text()],
        row!["Expiry Date", format!("{} +0000 UTC", expires.replace('T', " ").trim_end_matches('Z'))],
    ]
}

pub(super) async fn ca_info(context: &mut Context) -> Outcome {
    let certificate = shown(context, "CA file")?;
    let mut rows = common_rows(&certificate);
    rows.push(row!["Permitted DNS Domains", format!("[{}]", certificate.permitted_domains.join(" "))]);
    context.ui.output(table_with_blanks(&rows));
    Ok(0)
}

pub(super) async fn cert_info(context: &mut Context) -> Outcome {
    let certificate = shown(context, "certificate file")?;
    let mut rows = common_rows(&certificate);
    let addresses: Vec<String> = certificate.addresses.iter().map(ToString::to_string).collect();
    rows.push(row!["DNS Names", format!("[{}]", certificate.dns_names.join(" "))]);
    rows.push(row!["IP Addresses", format!("[{}]", addresses.join(" "))]);
    context.ui.output(table_with_blanks(&rows));
    Ok(0)
}
