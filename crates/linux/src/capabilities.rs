//! Linux capabilities by name, and the set a task's process may ever gain.

use std::io;

/// Capability names without the `CAP_` prefix; the place in the list is the kernel's number.
pub const NAMES: &[&str] = &[
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// A set of capabilities; bit N is the kernel's number N.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CapabilitySet(pub u64);

impl CapabilitySet {
    /// The set with these names, each with or without `cap_` and in any case; `all` means every one. Unknown names are returned.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, Vec<String>> {
        let mut set = 0;
        let mut unknown = Vec::new();
        for name in names {
            let lower = name.to_ascii_lowercase();
            let plain = lower.strip_prefix("cap_").unwrap_or(&lower);
            if plain == "all" {
                set |= (1 << NAMES.len()) - 1;
            } else if let Some(number) = NAMES.iter().position(|known| *known == plain) {
                set |= 1 << number;
            } else {
                unknown.push(name.to_owned());
            }
        }
        if unknown.is_empty() { Ok(Self(set)) } else { Err(unknown) }
    }

    /// The capabilities of both sets.
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The capabilities of this set that the other lacks.
    pub fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The names in the set, in the kernel's order.
    pub fn names(self) -> Vec<&'static str> {
        NAMES.iter().enumerate().filter(|(number, _)| self.0 & (1 << number) != 0).map(|(_, name)| *name).collect()
    }
}

/// Takes every capability outside the set away from this process and all it will start, for good.
pub fn limit_to(set: CapabilitySet) -> io::Result<()> {
    for number in 0..64_u64 {
        if set.0 & (1 << number) != 0 {
            continue;
        }
        // SAFETY: PR_CAPBSET_DROP takes a plain number.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0) } != 0 {
            let error = io::Error::last_os_error();
            // The first number the kernel does not know ends the list.
            return if error.raw_os_error() == Some(libc::EINVAL) { Ok(()) } else { Err(error) };
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_sets_agree() {
        let set = CapabilitySet::from_names(["CAP_KILL", "net_raw"]).expect("known");
        assert_eq!(set.names(), ["kill", "net_raw"]);
        assert_eq!(set.difference(CapabilitySet::from_names(["kill"]).expect("known")).names(), ["net_raw"]);
        assert_eq!(CapabilitySet::from_names(["fly"]), Err(vec!["fly".to_owned()]));
        assert_eq!(CapabilitySet::from_names(["all"]).expect("all").names().len(), NAMES.len());
    }
}
