//! Signals by name, in the spellings job files use, and the words for them that appear in task events.

/// A signal that a task can be sent: its number, its name with the `SIG` prefix, and its description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal {
    pub number: i32,
    pub name: &'static str,
    pub description: &'static str,
}

const fn signal(number: i32, name: &'static str, description: &'static str) -> Signal {
    Signal { number, name, description }
}

/// Every signal that a task can be sent, sorted by name.
pub const SIGNALS: &[Signal] = &[
    signal(libc::SIGABRT, "SIGABRT", "aborted"),
    signal(libc::SIGALRM, "SIGALRM", "alarm clock"),
    signal(libc::SIGBUS, "SIGBUS", "bus error"),
    signal(libc::SIGCHLD, "SIGCHLD", "child exited"),
    signal(libc::SIGCONT, "SIGCONT", "continued"),
    signal(libc::SIGFPE, "SIGFPE", "floating point exception"),
    signal(libc::SIGHUP, "SIGHUP", "hangup"),
    signal(libc::SIGILL, "SIGILL", "illegal instruction"),
    signal(libc::SIGINT, "SIGINT", "interrupt"),
    signal(libc::SIGIO, "SIGIO", "I/O possible"),
    signal(libc::SIGIOT, "SIGIOT", "aborted"),
    signal(libc::SIGKILL, "SIGKILL", "killed"),
    signal(libc::SIGPIPE, "SIGPIPE", "broken pipe"),
    signal(libc::SIGPROF, "SIGPROF", "profiling timer expired"),
    signal(libc::SIGQUIT, "SIGQUIT", "quit"),
    signal(libc::SIGSEGV, "SIGSEGV", "segmentation fault"),
    signal(libc::SIGSTOP, "SIGSTOP", "stopped (signal)"),
    signal(libc::SIGSYS, "SIGSYS", "bad system call"),
    signal(libc::SIGTERM, "SIGTERM", "terminated"),
    signal(libc::SIGTRAP, "SIGTRAP", "trace/breakpoint trap"),
    signal(libc::SIGTSTP, "SIGTSTP", "stopped"),
    signal(libc::SIGTTIN, "SIGTTIN", "stopped (tty input)"),
    signal(libc::SIGTTOU, "SIGTTOU", "stopped (tty output)"),
    signal(libc::SIGURG, "SIGURG", "urgent I/O condition"),
    signal(libc::SIGUSR1, "SIGUSR1", "user defined signal 1"),
    signal(libc::SIGUSR2, "SIGUSR2", "user defined signal 2"),
    signal(libc::SIGWINCH, "SIGWINCH", "window changed"),
    signal(libc::SIGXCPU, "SIGXCPU", "CPU time limit exceeded"),
    signal(libc::SIGXFSZ, "SIGXFSZ", "file size limit exceeded"),
];

/// The signal with this name, with or without the `SIG` prefix, in any case; none when there is no such signal.
pub fn by_name(name: &str) -> Option<Signal> {
    let upper = name.trim().to_ascii_uppercase();
    SIGNALS.iter().copied().find(|signal| signal.name == upper || signal.name.strip_prefix("SIG") == Some(upper.as_str()))
}

/// The signal with this number; none for real-time signals and numbers that are no signals.
pub fn by_number(number: i32) -> Option<Signal> {
    SIGNALS.iter().copied().find(|signal| signal.number == number)
}

/// The names of all signals a task can be sent, comma-separated and sorted: the node attribute `os.signals`.
pub fn names() -> String {
    let names: Vec<&str> = SIGNALS.iter().map(|signal| signal.name).collect();
    names.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_signals_in_every_spelling() {
        for name in ["SIGUSR1", "usr1", "sigusr1", "USR1"] {
            assert_eq!(by_name(name).map(|signal| signal.number), Some(libc::SIGUSR1), "{name}");
        }
        assert_eq!(by_name("SIGSIGUSR1"), None);
        assert_eq!(by_name(""), None);
        assert_eq!(by_number(2).map(|signal| signal.description), Some("interrupt"));
    }
}
