//! What a machine is: processors, memory, network, operating system. Each fact has a pure parser of the kernel's text and a reader
//! that applies it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;

/// Processors of the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Processors {
    pub model: String,
    /// Numbers of the cores that are there.
    pub cores: Vec<u16>,
    /// The speed used for capacity, in MHz: the base one where the kernel tells it, else the highest, else the current one.
    pub mhz: u64,
}

/// Parses `/proc/cpuinfo`.
pub fn parse_cpuinfo(text: &str) -> Processors {
    let mut processors = Processors::default();
    for line in text.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match key.trim() {
            "processor" => processors.cores.extend(value.parse::<u16>()),
            "model name" if processors.model.is_empty() => value.clone_into(&mut processors.model),
            "cpu MHz" => {
                let mhz = value.parse::<f64>().unwrap_or(0.0).round() as u64;
                processors.mhz = processors.mhz.max(mhz);
            }
            _ => {}
        }
    }
    processors
}

/// The numbers in a list such as `0-3,7`. Malformed parts are left out.
pub fn parse_list(text: &str) -> Vec<u16> {
    let mut numbers = BTreeSet::new();
    for part in text.trim().split(',') {
        match part.split_once('-') {
            Some((first, last)) => {
                if let (Ok(first), Ok(last)) = (first.trim().parse::<u16>(), last.trim().parse::<u16>()) {
                    numbers.extend(first..=last);
                }
            }
            None => numbers.extend(part.trim().parse::<u16>()),
        }
    }
    numbers.into_iter().collect()
}

/// The list form of numbers, ranges joined: `0-3,7`.
pub fn format_list(numbers: &[u16]) -> String {
    let sorted: BTreeSet<u16> = numbers.iter().copied().collect();
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for number in sorted {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let parts: Vec<String> =
        ranges.into_iter().map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") }).collect();
    parts.join(",")
}

/// Reads the processors of this machine.
pub fn processors() -> io::Result<Processors> {
    let mut processors = parse_cpuinfo(&fs::read_to_string("/proc/cpuinfo")?);
    if let Ok(online) = fs::read_to_string("/sys/devices/system/cpu/online") {
        let found = parse_list(&online);
        if !found.is_empty() {
            processors.cores = found;
        }
    }
    for file in ["base_frequency", "cpuinfo_max_freq"] {
        let path = format!("/sys/devices/system/cpu/cpu0/cpufreq/{file}");
        if let Some(khz) = fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u64>().ok()) {
            processors.mhz = khz / 1000;
            break;
        }
    }
    Ok(processors)
}

/// Memory nodes and the cores of each; one node with all cores where the kernel does not tell.
pub fn numa_nodes(cores: &[u16]) -> Vec<(u8, Vec<u16>)> {
    let mut nodes = Vec::new();
    if let Ok(online) = fs::read_to_string("/sys/devices/system/node/online") {
        for node in parse_list(&online) {
            let path = format!("/sys/devices/system/node/node{node}/cpulist");
            if let (Ok(id), Ok(list)) = (u8::try_from(node), fs::read_to_string(path)) {
                nodes.push((id, parse_list(&list)));
            }
        }
    }
    if nodes.is_empty() {
        nodes.push((0, cores.to_vec()));
    }
    nodes
}

/// Memory of the machine in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    pub total: u64,
    pub available: u64,
    pub free: u64,
}

/// Parses `/proc/meminfo`.
pub fn parse_meminfo(text: &str) -> Memory {
    let mut memory = Memory::default();
    for line in text.lines() {
        let Some((key, rest)) = line.split_once(':') else { continue };
        let kib = rest.split_ascii_whitespace().next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
        match key {
            "MemTotal" => memory.total = kib * 1024,
            "MemAvailable" => memory.available = kib * 1024,
            "MemFree" => memory.free = kib * 1024,
            _ => {}
        }
    }
    memory
}

/// Reads the memory of this machine.
pub fn memory() -> io::Result<Memory> {
    Ok(parse_meminfo(&fs::read_to_string("/proc/meminfo")?))
}

/// Processor time of the whole machine in clock ticks, one entry per core.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CoreTime {
    pub core: u16,
    pub user: u64,
    pub system: u64,
    pub idle: u64,
}

impl CoreTime {
    /// All ticks counted.
    pub fn total(&self) -> u64 {
        self.user + self.system + self.idle
    }
}

/// Parses the per-core lines of `/proc/stat`.
pub fn parse_core_times(text: &str) -> Vec<CoreTime> {
    let mut times = Vec::new();
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("cpu") else { continue };
        let mut words = rest.split_ascii_whitespace();
        let Some(core) = words.next().filter(|_| !rest.starts_with(' ')).and_then(|word| word.parse().ok()) else { continue };
        let ticks: Vec<u64> = words.map(|word| word.parse().unwrap_or(0)).collect();
        let at = |index: usize| ticks.get(index).copied().unwrap_or(0);
        times.push(CoreTime { core, user: at(0) + at(1), system: at(2) + at(5) + at(6), idle: at(3) + at(4) });
    }
    times
}

/// Reads processor times of this machine.
pub fn core_times() -> io::Result<Vec<CoreTime>> {
    Ok(parse_core_times(&fs::read_to_string("/proc/stat")?))
}

/// Seconds since the machine started.
pub fn uptime_seconds() -> u64 {
    let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
    text.split('.').next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// Name and version of the operating system from `/etc/os-release`.
pub fn parse_os_release(text: &str) -> (String, String) {
    let find = |key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .map(|value| value.trim().trim_matches('"').to_owned())
            .unwrap_or_default()
    };
    (find("ID"), find("VERSION_ID"))
}

/// What the host calls itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    pub name: String,
    pub os_name: String,
    pub os_version: String,
    /// `linux`, as this is the only kernel supported.
    pub kernel_name: String,
    pub kernel_version: String,
    /// The kernel's word for the architecture, such as `x86_64`.
    pub kernel_arch: String,
}

/// Reads what the host calls itself.
pub fn host() -> Host {
    let uname = rustix::system::uname();
    let text = |value: &std::ffi::CStr| value.to_string_lossy().into_owned();
    let release = fs::read_to_string("/etc/os-release").or_else(|_| fs::read_to_string("/usr/lib/os-release"));
    let (os_name, os_version) = parse_os_release(&release.unwrap_or_default());
    Host {
        name: text(uname.nodename()),
        os_name,
        os_version,
        kernel_name: "linux".to_owned(),
        kernel_version: text(uname.release()),
        kernel_arch: text(uname.machine()),
    }
}

/// The architecture as node attributes spell it: `amd64`, `arm64`, or the kernel's word.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}

/// A network interface with its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    pub name: String,
    pub addresses: Vec<IpAddr>,
    /// Hardware address, empty when it has none.
    pub mac: String,
    /// In Mbit/s; none where the device does not tell.
    pub speed: Option<u32>,
    pub is_loopback: bool,
    pub is_up: bool,
}

/// Every network interface of this machine, by name.
pub fn interfaces() -> io::Result<Vec<Interface>> {
    use nix::net::if_::InterfaceFlags;
    let mut found: std::collections::BTreeMap<String, Interface> = std::collections::BTreeMap::new();
    for entry in nix::ifaddrs::getifaddrs()? {
        let interface = found.entry(entry.interface_name.clone()).or_insert_with(|| {
            let directory = Path::new("/sys/class/net").join(&entry.interface_name);
            let read = |file: &str| fs::read_to_string(directory.join(file)).map(|text| text.trim().to_owned()).ok();
            Interface {
                name: entry.interface_name.clone(),
                addresses: Vec::new(),
                mac: read("address").filter(|mac| mac != "00:00:00:00:00:00").unwrap_or_default(),
                speed: read("speed").and_then(|text| text.parse::<u32>().ok()),
                is_loopback: entry.flags.contains(InterfaceFlags::IFF_LOOPBACK),
                is_up: entry.flags.contains(InterfaceFlags::IFF_UP),
            }
        });
        let Some(address) = entry.address else { continue };
        if let Some(v4) = address.as_sockaddr_in() {
            interface.addresses.push(IpAddr::V4(v4.ip()));
        } else if let Some(v6) = address.as_sockaddr_in6() {
            interface.addresses.push(IpAddr::V6(v6.ip()));
        }
    }
    Ok(found.into_values().collect())
}

/// Every address of every network interface with the length of its network's prefix.
pub fn networks() -> io::Result<Vec<(String, IpAddr, u8)>> {
    let mut found = Vec::new();
    for entry in nix::ifaddrs::getifaddrs()? {
        let (Some(address), Some(mask)) = (entry.address, entry.netmask) else { continue };
        if let (Some(address), Some(mask)) = (address.as_sockaddr_in(), mask.as_sockaddr_in()) {
            found.push((entry.interface_name, IpAddr::V4(address.ip()), u32::from(mask.ip()).leading_ones() as u8));
        } else if let (Some(address), Some(mask)) = (address.as_sockaddr_in6(), mask.as_sockaddr_in6()) {
            found.push((entry.interface_name, IpAddr::V6(address.ip()), u128::from(mask.ip()).leading_ones() as u8));
        }
    }
    Ok(found)
}

/// The interface of the default route in the text of `/proc/net/route`.
pub fn parse_default_route(text: &str) -> Option<String> {
    text.lines().skip(1).find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let name = words.next()?;
        let destination = words.next()?;
        let mask = line.split_ascii_whitespace().nth(7)?;
        (destination == "00000000" && mask == "00000000").then(|| name.to_owned())
    })
}

/// The interface that packets to the outside leave through.
pub fn default_interface() -> Option<String> {
    if let Some(name) = fs::read_to_string("/proc/net/route").ok().and_then(|text| parse_default_route(&text)) {
        return Some(name);
    }
    // Hosts with IPv6 only: destination and prefix length of the default route are all zeroes.
    let text = fs::read_to_string("/proc/net/ipv6_route").ok()?;
    text.lines().find_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let name = words.get(9)?;
        let is_default = words[0].bytes().all(|byte| byte == b'0') && words[1] == "00";
        (is_default && *name != "lo").then(|| (*name).to_owned())
    })
}

/// The first port of the range that the kernel hands out to outgoing connections, and its last.
pub fn ephemeral_ports() -> Option<(u16, u16)> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut words = text.split_ascii_whitespace();
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

/// The device a path lies on, as `/proc/self/mounts` names it: the mount point with the longest fitting path.
pub fn parse_volume(mounts: &str, path: &Path) -> Option<String> {
    mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let device = words.next()?;
            let point = Path::new(words.next()?);
            path.starts_with(point).then(|| (point.as_os_str().len(), device.to_owned()))
        })
        .max_by_key(|(length, _)| *length)
        .map(|(_, device)| device)
}

/// The device this path lies on.
pub fn volume_of(path: &Path) -> Option<String> {
    let path = fs::canonicalize(path).ok()?;
    parse_volume(&fs::read_to_string("/proc/self/mounts").ok()?, &path)
}

/// The version of the Landlock interface that the kernel offers; none when it offers none.
pub fn landlock_version() -> Option<u32> {
    const VERSION_FLAG: u32 = 1;
    // SAFETY: with the version flag the pointer must be null and the size 0; the call then only answers a number.
    let found = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, VERSION_FLAG) };
    u32::try_from(found).ok().filter(|version| *version > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cores_go_both_ways() {
        assert_eq!(parse_list("0-3,7\n"), [0, 1, 2, 3, 7]);
        assert_eq!(format_list(&[7, 0, 1, 3, 2]), "0-3,7");
        assert_eq!(format_list(&[]), "");
        assert_eq!(parse_list("x,3-,2"), [2]);
    }

    #[test]
    fn processors_are_counted_and_their_best_speed_taken() {
        let text =
            "processor\t: 0\nmodel name\t: Some CPU\ncpu MHz\t\t: 1999.6\n\nprocessor\t: 1\nmodel name\t: Some CPU\ncpu MHz\t\t: 2400.0\n";
        let found = parse_cpuinfo(text);
        assert_eq!(found, Processors { model: "Some CPU".into(), cores: vec![0, 1], mhz: 2400 });
    }

    #[test]
    fn texts_of_the_kernel_are_understood() {
        assert_eq!(
            parse_meminfo("MemTotal: 10 kB\nMemFree: 3 kB\nMemAvailable:  4 kB\n"),
            Memory { total: 10240, available: 4096, free: 3072 }
        );
        assert_eq!(parse_os_release("NAME=\"Debian\"\nVERSION_ID=\"12\"\nID=debian\n"), ("debian".into(), "12".into()));
        let route = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\neth1\t0011A8C0\t0\t1\t0\t0\t0\t00FFFFFF\neth0\t00000000\t0111A8C0\t3\t0\t0\t0\t00000000\n";
        assert_eq!(parse_default_route(route).as_deref(), Some("eth0"));
        assert_eq!(parse_default_route("Iface\n"), None);
        let mounts = "/dev/a / ext4 rw 0 0\n/dev/b /data ext4 rw 0 0\n/dev/c /database ext4 rw 0 0\n";
        assert_eq!(parse_volume(mounts, Path::new("/data/x")).as_deref(), Some("/dev/b"));
        assert_eq!(parse_volume(mounts, Path::new("/datab")).as_deref(), Some("/dev/a"));
        let times = parse_core_times("cpu  1 1 1 1\ncpu0 10 2 3 40 5 1 1 0 0 0\nintr 4\n");
        assert_eq!(times, [CoreTime { core: 0, user: 12, system: 5, idle: 45 }]);
        assert_eq!(times[0].total(), 62);
    }

    #[test]
    fn this_machine_has_the_usual_parts() {
        let processors = processors().expect("processors");
        assert!(!processors.cores.is_empty());
        assert!(memory().expect("memory").total > 0);
        assert!(interfaces().expect("interfaces").iter().any(|interface| interface.is_loopback));
        assert!(!host().kernel_version.is_empty());
        assert!(!numa_nodes(&processors.cores).is_empty());
    }
}
