//! Address templates of agent configuration: `{{ GetInterfaceIP "eth0" }}` and the like.
//!
//! The host's interfaces come from the caller; the language is that of task templates, with functions of its own.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::gotmpl::{Data, DataError, Options, Template, Value};

/// A network interface of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// `up`, `loopback`, `broadcast`, `pointtopoint`, `multicast`.
    pub flags: Vec<String>,
    /// Its addresses with their networks.
    pub addresses: Vec<IpNet>,
    /// Whether the default route leads through it.
    pub default: bool,
}

/// Why a template gives no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It cannot be read or run.
    #[error("unable to parse address template {template:?}: {reason}")]
    Template {
        /// The template.
        template: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It gives more than one.
    #[error("multiple addresses found ({0:?}), please configure one")]
    Several(String),
    /// It gives nothing.
    #[error("template {0:?} evaluated to empty result")]
    Nothing(String),
    /// It gives what is no interface of this host.
    #[error("invalid interface name {0:?}")]
    NoInterface(String),
}

/// The one address that a text or template stands for; text that is no template is taken as it is.
///
/// # Errors
/// When the template cannot be read or run, or gives several addresses.
pub fn one_address(template: &str, interfaces: &[Interface]) -> Result<String, AddressError> {
    let text = rendered(template, interfaces)?;
    if text.contains(' ') { Err(AddressError::Several(text)) } else { Ok(text) }
}

/// All addresses that a text or template stands for, each once.
///
/// # Errors
/// When the template cannot be read or run.
pub fn addresses(template: &str, interfaces: &[Interface]) -> Result<Vec<String>, AddressError> {
    let mut out: Vec<String> = Vec::new();
    for part in rendered(template, interfaces)?.split(' ') {
        if !out.iter().any(|known| known == part) {
            out.push(part.to_owned());
        }
    }
    Ok(out)
}

/// The name of the interface that a text or template stands for.
///
/// # Errors
/// When the template cannot be read or run, or names no interface of the host.
pub fn interface_name(template: &str, interfaces: &[Interface]) -> Result<String, AddressError> {
    let text = rendered(template, interfaces)?;
    let name = text.trim();
    if name.is_empty() && !template.is_empty() {
        return Err(AddressError::Nothing(template.to_owned()));
    }
    if interfaces.iter().any(|interface| interface.name == name) {
        Ok(name.to_owned())
    } else {
        Err(AddressError::NoInterface(name.to_owned()))
    }
}

/// The text that a template gives, whatever it is.
///
/// # Errors
/// When the template cannot be read or run.
pub(crate) fn render(template: &str, interfaces: &[Interface]) -> Result<String, AddressError> {
    rendered(template, interfaces)
}

fn rendered(template: &str, interfaces: &[Interface]) -> Result<String, AddressError> {
    if !template.contains("{{") {
        return Ok(template.to_owned());
    }
    let host = Host { interfaces };
    let failed = |reason: String| AddressError::Template { template: template.to_owned(), reason };
    let options = Options { max_steps: 100_000, max_bytes: 1 << 16, ..Options::default() };
    let parsed = Template::parse(template, options, &host).map_err(|error| failed(error.to_string()))?;
    parsed.render(&host).map_err(|error| failed(error.to_string()))
}

struct Host<'a> {
    interfaces: &'a [Interface],
}

const FUNCTIONS: [&str; 19] = [
    "GetAllInterfaces",
    "GetDefaultInterfaces",
    "GetPrivateInterfaces",
    "GetPublicInterfaces",
    "GetPrivateIP",
    "GetPrivateIPs",
    "GetPublicIP",
    "GetPublicIPs",
    "GetInterfaceIP",
    "GetInterfaceIPs",
    "sort",
    "exclude",
    "include",
    "attr",
    "join",
    "limit",
    "offset",
    "unique",
    "math",
];

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Address {
    name: String,
    flags: Vec<String>,
    net: IpNet,
    default: bool,
}

impl Address {
    fn value(&self) -> Value {
        let text = |text: &str| Value::text(text);
        Value::map(BTreeMap::from([
            ("Name".to_owned(), text(&self.name)),
            ("Flags".to_owned(), text(&self.flags.join("|"))),
            ("Net".to_owned(), text(&self.net.to_string())),
            ("Default".to_owned(), Value::Bool(self.default)),
        ]))
    }

    fn of(value: &Value) -> Option<Self> {
        let Value::Map(members, _) = value else { return None };
        let text = |name: &str| members.get(name).and_then(Value::as_text);
        Some(Self {
            name: text("Name")?.to_owned(),
            flags: text("Flags")?.split('|').map(str::to_owned).collect(),
            net: text("Net")?.parse().ok()?,
            default: matches!(members.get("Default"), Some(Value::Bool(true))),
        })
    }

    fn attribute(&self, name: &str) -> Option<String> {
        let (net, address) = (&self.net, self.net.addr());
        let hosts = |first: bool| match (net, first) {
            (IpNet::V4(net), first) => {
                let (low, high) = (u32::from(net.network()), u32::from(net.broadcast()));
                let wide = net.prefix_len() < 31;
                let found = if first { low + u32::from(wide) } else { high - u32::from(wide) };
                Ipv4Addr::from(found).to_string()
            }
            (IpNet::V6(net), true) => net.network().to_string(),
            (IpNet::V6(net), false) => net.broadcast().to_string(),
        };
        Some(match name {
            "address" | "host" => address.to_string(),
            "name" => self.name.clone(),
            "flags" => self.flags.join("|"),
            "port" => "0".to_owned(),
            "netmask" => net.netmask().to_string(),
            "network" => net.network().to_string(),
            "broadcast" if address.is_ipv4() => net.broadcast().to_string(),
            "mask_bits" => net.prefix_len().to_string(),
            "first_usable" => hosts(true),
            "last_usable" => hosts(false),
            "size" => size(net),
            "string" => net.to_string(),
            "hex" => bytes(address).iter().map(|byte| format!("{byte:02x}")).collect(),
            "binary" => bytes(address).iter().map(|byte| format!("{byte:08b}")).collect(),
            "octets" => bytes(address).iter().map(u8::to_string).collect::<Vec<_>>().join(" "),
            "uint32" if address.is_ipv4() => bits(address).to_string(),
            "uint128" if address.is_ipv6() => bits(address).to_string(),
            "type" => (if address.is_ipv4() { "IPv4" } else { "IPv6" }).to_owned(),
            _ => return None,
        })
    }
}

fn bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn size(net: &IpNet) -> String {
    let free = net.max_prefix_len() - net.prefix_len();
    if free >= 128 { "340282366920938463463374607431768211456".to_owned() } else { (1_u128 << free).to_string() }
}

fn failed<T>(text: impl Into<String>) -> Result<T, DataError> {
    Err(DataError::Failed(text.into()))
}

/// The networks that an RFC sets apart.
fn set_apart(number: &str) -> Option<&'static [&'static str]> {
    Some(match number {
        "1122" => &["0.0.0.0/8", "127.0.0.0/8"],
        "1918" => &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"],
        "2544" => &["198.18.0.0/15"],
        "3849" => &["2001:db8::/32"],
        "3927" => &["169.254.0.0/16"],
        "4193" => &["fc00::/7"],
        "4291" => &["::/128", "::1/128", "fe80::/10", "ff00::/8"],
        "5737" => &["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"],
        "6598" => &["100.64.0.0/10"],
        "6890" => &[
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "240.0.0.0/4",
            "::/128",
            "::1/128",
            "2001:db8::/32",
            "fc00::/7",
            "fe80::/10",
        ],
        _ => return None,
    })
}

fn inside(net: &IpNet, networks: &[&str]) -> bool {
    networks.iter().filter_map(|text| text.parse::<IpNet>().ok()).any(|network| network.contains(net))
}

/// What no router passes on (RFC 6890).
const NOT_FORWARDED: [&str; 12] = [
    "0.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "192.0.2.0/24",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    "::ffff:0:0/96",
    "2001:db8::/32",
    "fe80::/10",
];

fn is_local(address: &Address) -> bool {
    inside(&address.net, &NOT_FORWARDED)
}

/// Set apart for a purpose, so that the internet does not route it.
fn is_private(address: &Address) -> bool {
    set_apart("6890").is_some_and(|networks| inside(&address.net, networks))
}

impl Host<'_> {
    fn all(&self) -> Vec<Address> {
        let of = |interface: &Interface| {
            let address = |net: &IpNet| Address {
                name: interface.name.clone(),
                flags: interface.flags.clone(),
                net: *net,
                default: interface.default,
            };
            interface.addresses.iter().map(address).collect::<Vec<_>>()
        };
        self.interfaces.iter().flat_map(of).collect()
    }

    fn usable(&self, wanted: impl Fn(&Address) -> bool) -> Vec<Address> {
        let mut found = self.all();
        found.retain(|address| address.flags.iter().any(|flag| flag == "up") && !is_local(address) && wanted(address));
        // IPv4 first, then the smaller networks.
        found.sort_by_key(|address| (address.net.addr().is_ipv6(), !address.default, std::cmp::Reverse(address.net.prefix_len())));
        found
    }

    fn named(&self, name: &str) -> Vec<Address> {
        let mut found = self.all();
        found.retain(|address| address.name == name && !inside(&address.net, &["fe80::/10"]));
        found.sort_by_key(|address| address.net.addr().is_ipv6());
        found
    }
}

fn list(addresses: &[Address]) -> Value {
    Value::list(addresses.iter().map(Address::value).collect())
}

fn texts(addresses: &[Address], all: bool) -> Value {
    let shown: Vec<String> =
        addresses.iter().map(|address| address.net.addr().to_string()).take(if all { usize::MAX } else { 1 }).collect();
    Value::text(shown.join(" "))
}

/// The addresses that the last argument holds.
fn operand(name: &str, wanted: usize, arguments: &[Value]) -> Result<Vec<Address>, DataError> {
    if arguments.len() != wanted {
        return failed(format!("wrong number of args for {name}: want {wanted} got {}", arguments.len()));
    }
    match arguments.last() {
        Some(Value::List(values, _)) => Ok(values.iter().filter_map(Address::of).collect()),
        Some(one @ Value::Map(..)) => Ok(Address::of(one).into_iter().collect()),
        _ => failed(format!("{name} needs addresses")),
    }
}

fn word<'a>(name: &str, arguments: &'a [Value], position: usize) -> Result<&'a str, DataError> {
    match arguments.get(position).and_then(Value::as_text) {
        Some(text) => Ok(text),
        None => failed(format!("{name} needs a text")),
    }
}

fn number(name: &str, value: Option<&Value>) -> Result<usize, DataError> {
    match value {
        Some(Value::Int(number)) if *number >= 0 => Ok(usize::try_from(*number).unwrap_or(usize::MAX)),
        Some(Value::Uint(number)) => Ok(usize::try_from(*number).unwrap_or(usize::MAX)),
        _ => failed(format!("{name} needs a number that is not negative")),
    }
}

/// Whether an address has what a selector asks for.
fn selects(name: &str, selector: &str, wanted: &str, address: &Address) -> Result<bool, DataError> {
    let pattern = |text: String| match crate::pattern::compile(wanted) {
        Ok(pattern) => Ok(pattern.is_match(&text)),
        Err(_) => failed(format!("Unable to compile {selector} regexp {wanted:?}")),
    };
    match selector.to_lowercase().as_str() {
        "address" => pattern(address.net.addr().to_string()),
        "name" => pattern(address.name.clone()),
        "port" => pattern("0".to_owned()),
        "network" => match wanted.parse::<IpNet>() {
            Ok(network) => Ok(network.contains(&address.net)),
            Err(_) => failed(format!("{wanted:?} is no network")),
        },
        "size" => Ok(format!("/{}", address.net.prefix_len()) == wanted || size(&address.net) == wanted),
        "rfc" | "rfcs" => match set_apart(wanted) {
            Some(networks) => Ok(inside(&address.net, networks)),
            None => failed(format!("unable to lookup RFC number {wanted:?}: unsupported RFC {wanted}")),
        },
        "flag" | "flags" => {
            let mut all = true;
            for flag in wanted.to_lowercase().split('|') {
                all &= match flag {
                    "up" | "loopback" | "broadcast" | "pointtopoint" | "multicast" => address.flags.iter().any(|own| own == flag),
                    "forwardable" => !is_local(address),
                    "global unicast" => !is_local(address) && !address.net.addr().is_multicast(),
                    "link-local unicast" => inside(&address.net, &["169.254.0.0/16", "fe80::/10"]),
                    _ => return failed(format!("Unknown interface flag: {flag:?}")),
                };
            }
            Ok(all)
        }
        "type" => match wanted.to_lowercase().as_str() {
            "ip" => Ok(true),
            "ipv4" => Ok(address.net.addr().is_ipv4()),
            "ipv6" => Ok(address.net.addr().is_ipv6()),
            other => failed(format!("unsupported type {other:?}")),
        },
        _ => failed(format!("invalid {name} selector {selector:?}")),
    }
}

/// Selectors are checked even when there is nothing to select from.
fn check_selector(name: &str, selector: &str, wanted: &str) -> Result<(), DataError> {
    let net = IpNet::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let probe = Address { name: String::new(), flags: Vec::new(), net, default: false };
    selects(name, selector, wanted, &probe).map(|_| ())
}

fn sorted(mut addresses: Vec<Address>, order: &str) -> Result<Vec<Address>, DataError> {
    // The last key is applied first, as the sort is stable.
    for key in order.split(',').rev() {
        let (down, key) = match key.trim() {
            key if key.starts_with('-') => (true, &key[1..]),
            key => (false, key.trim_start_matches('+')),
        };
        let by: fn(&Address) -> (u128, String) = match key {
            "address" => |address| (bits(address.net.addr()), String::new()),
            "size" => |address| (u128::from(address.net.max_prefix_len() - address.net.prefix_len()), String::new()),
            "type" => |address| (u128::from(address.net.addr().is_ipv6()), String::new()),
            "name" => |address| (0, address.name.clone()),
            "port" => |_| (0, String::new()),
            "private" => |address| (u128::from(!is_private(address)), String::new()),
            "default" => |address| (u128::from(!address.default), String::new()),
            other => return failed(format!("unknown sort type: {other:?}")),
        };
        addresses.sort_by(|a, b| if down { by(b).cmp(&by(a)) } else { by(a).cmp(&by(b)) });
    }
    Ok(addresses)
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

fn moved(address: IpAddr, by: i128) -> IpAddr {
    let sum = bits(address).wrapping_add_signed(by);
    match address {
        #[expect(clippy::cast_possible_truncation, reason = "addresses wrap around, as numbers of their width do")]
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(sum as u32)),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(sum)),
    }
}

fn computed(operation: &str, value: &str, mut address: Address) -> Result<Address, DataError> {
    let bare = if operation == "mask" { value.strip_prefix('/').unwrap_or(value) } else { value.strip_prefix('+').unwrap_or(value) };
    let by = match bare.strip_prefix("0x") {
        Some(digits) => i128::from_str_radix(digits, 16).ok(),
        None => bare.parse::<i128>().ok(),
    };
    let Some(by) = by else { return failed(format!("{value:?} is no number")) };
    if operation != "mask" && !value.starts_with(['+', '-']) {
        return failed(format!("sign (+/-) is required for operation {operation:?}"));
    }
    let (net, length) = (address.net, address.net.prefix_len());
    let with = |to: IpAddr, length: u8| IpNet::new(to, length).map_err(|error| DataError::Failed(error.to_string()));
    address.net = match operation {
        "address" => with(moved(net.addr(), by), length)?,
        "network" if by >= 0 => with(moved(net.network(), by), length)?,
        "network" => with(moved(net.broadcast(), by + 1), length)?,
        "mask" => match u8::try_from(by) {
            Ok(length) => with(net.addr(), length)?.trunc(),
            Err(_) => return failed(format!("{value:?} is no mask")),
        },
        other => return failed(format!("unsupported math operation: {other:?}")),
    };
    Ok(address)
}

impl Data for Host<'_> {
    fn environment(&self, _: &str) -> Option<String> {
        None
    }

    fn now(&self) -> i64 {
        0
    }

    fn has_function(&self, name: &str) -> bool {
        FUNCTIONS.contains(&name)
    }

    fn only_own_functions(&self) -> bool {
        true
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, DataError> {
        Ok(match name {
            "GetAllInterfaces" => list(&self.all()),
            "GetDefaultInterfaces" => list(&self.all().into_iter().filter(|address| address.default).collect::<Vec<_>>()),
            "GetPrivateInterfaces" => list(&self.usable(is_private)),
            "GetPublicInterfaces" => list(&self.usable(|address| !is_private(address))),
            "GetPrivateIP" => texts(&self.usable(is_private), false),
            "GetPrivateIPs" => texts(&self.usable(is_private), true),
            "GetPublicIP" => texts(&self.usable(|address| !is_private(address)), false),
            "GetPublicIPs" => texts(&self.usable(|address| !is_private(address)), true),
            "GetInterfaceIP" => texts(&self.named(word(name, arguments, 0)?), false),
            "GetInterfaceIPs" => texts(&self.named(word(name, arguments, 0)?), true),
            "sort" => list(&sorted(operand(name, 2, arguments)?, word(name, arguments, 0)?)?),
            "include" | "exclude" => {
                let (selector, wanted) = (word(name, arguments, 0)?, word(name, arguments, 1)?);
                check_selector(name, selector, wanted)?;
                let mut kept = Vec::new();
                for address in operand(name, 3, arguments)? {
                    if selects(name, selector, wanted, &address)? == (name == "include") {
                        kept.push(address);
                    }
                }
                list(&kept)
            }
            "attr" => {
                let found = operand(name, 2, arguments)?;
                let selector = word(name, arguments, 0)?;
                match found.first() {
                    None => Value::text(""),
                    Some(address) => match address.attribute(selector) {
                        Some(text) => Value::text(text),
                        None => return failed(format!("unsupported attribute name {selector:?}")),
                    },
                }
            }
            "join" => {
                let found = operand(name, 3, arguments)?;
                let (selector, between) = (word(name, arguments, 0)?, word(name, arguments, 1)?);
                let shown: Option<Vec<String>> = found.iter().map(|address| address.attribute(selector)).collect();
                match shown {
                    Some(shown) => Value::text(shown.join(between)),
                    None => return failed(format!("unsupported attribute name {selector:?}")),
                }
            }
            "limit" => {
                let mut found = operand(name, 2, arguments)?;
                found.truncate(number(name, arguments.first())?);
                list(&found)
            }
            "offset" => {
                let found = operand(name, 2, arguments)?;
                let by = match arguments.first() {
                    // From the end.
                    Some(Value::Int(by)) if *by < 0 => found.len().saturating_sub(usize::try_from(by.unsigned_abs()).unwrap_or(usize::MAX)),
                    other => number(name, other)?,
                };
                let Some(rest) = found.get(by..) else {
                    return failed(format!("offset ({by}) exceeds the number of interfaces ({})", found.len()));
                };
                list(rest)
            }
            "unique" => {
                let selector = word(name, arguments, 0)?;
                let mut seen: Vec<Option<String>> = Vec::new();
                let mut found = operand(name, 2, arguments)?;
                found.retain(|address| {
                    let key = address.attribute(selector);
                    let new = !seen.contains(&key);
                    seen.push(key);
                    new
                });
                list(&found)
            }
            "math" => {
                let (operation, value) = (word(name, arguments, 0)?, word(name, arguments, 1)?);
                let found: Result<Vec<Address>, DataError> =
                    operand(name, 3, arguments)?.into_iter().map(|address| computed(operation, value, address)).collect();
                list(&found?)
            }
            other => return failed(format!("there is no function {other}")),
        })
    }
}
