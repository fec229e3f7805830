//! Messages survive the way through the socket; broken ones are refused.

use super::*;

fn sample_requests() -> Vec<(&'static str, Request)> {
    vec![
        ("nursery", Request::Nursery(Nursery { groups: vec!["/c/memory/nomad/cgroup.procs".into()] })),
        (
            "launch",
            Request::Launch(Box::new(Launch {
                token: "00ff".into(),
                program: "/bin/sh".into(),
                args: vec!["sh".into(), "-c".into(), "exit 3".into()],
                env: vec!["A=1".into()],
                directory: "/tmp".into(),
                logs: Some(Logs { directory: "/l".into(), prefix: "web".into(), max_files: 10, max_file_bytes: 10_485_760 }),
                socket: "/run/s".into(),
                record: "/run/r".into(),
                durable: true,
                orphan_limit_ms: 10_000,
                group: Some(ControlGroup {
                    version: 1,
                    name: "a.web".into(),
                    parent: String::new(),
                    cpu_shares: 100,
                    memory_max: 64 << 20,
                    memory_low: 0,
                    reserved_cores: String::new(),
                    instead: Vec::new(),
                }),
                isolation: Some(Isolation {
                    root: "/a/web".into(),
                    binds: vec![Bind { source: "/bin".into(), target: "/bin".into(), read_only: true, optional: true }],
                    private_pid: true,
                    private_ipc: true,
                }),
                credentials: Some(Credentials { uid: 65_534, gid: 0, groups: vec![7] }),
                capabilities: Some(0x20),
                oom_score_adj: Some(500),
            })),
        ),
        ("attach", Request::Attach(Attach { token: "00ff".into(), version: 1 })),
        ("status", Request::Status),
        ("signal", Request::Signal(SendSignal { number: 10 })),
        ("stop", Request::Stop(Stop { number: 2, timeout_ms: 5000 })),
        (
            "exec",
            Request::Exec(Exec {
                args: vec!["/bin/true".into()],
                env: vec!["B=2".into()],
                directory: "/".into(),
                timeout_ms: 9,
                terminal: None,
            }),
        ),
        ("input", Request::Input(Input { bytes: b"hi\n".to_vec(), end: true })),
        ("confirm", Request::Confirm),
        (
            "exec-terminal",
            Request::Exec(Exec { args: vec!["sh".into()], env: Vec::new(), directory: "/".into(), timeout_ms: 0, terminal: Some(true) }),
        ),
        ("resize", Request::Resize(Resize { rows: 24, columns: 80 })),
        ("abandon", Request::Abandon),
    ]
}

fn sample_replies() -> Vec<(&'static str, Reply)> {
    vec![
        ("hello", Reply::Hello(Hello { version: 1, capabilities: vec!["exec".into()], pid: 4242, start_time: 99 })),
        (
            "started",
            Reply::Started(Started {
                pid: 4242,
                start_time: 99,
                shim_pid: 4241,
                shim_start_time: 98,
                groups: vec!["/c/memory/nomad/a.web".into()],
            }),
        ),
        ("failed", Reply::failed("no")),
        ("done", Reply::Done),
        (
            "exited",
            Reply::Exited(Exited { token: "00ff".into(), code: 137, signal: 9, out_of_memory: true, at: 1, error: Some("x".into()) }),
        ),
        ("output", Reply::Output(Output { stream: 2, bytes: b"oops".to_vec() })),
        ("ended", Reply::Ended(Ended { code: 1, timed_out: false })),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}

fn one_frame(bytes: &[u8]) -> RawFrame {
    let mut frames = Frames::default();
    frames.push(bytes);
    frames.next_frame().expect("frame").expect("whole")
}

/// The bytes of version 1 as the first release spoke them. Never changed; a new field adds a line under a new name.
#[test]
fn version_1_is_frozen() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/shim-protocol-v1.txt");
    let now: String = sample_requests()
        .iter()
        .map(|(name, request)| format!("> {name} {}\n", hex(&request.to_frame(7))))
        .chain(sample_replies().iter().map(|(name, reply)| format!("< {name} {}\n", hex(&reply.to_frame(7)))))
        .collect();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path, &now).expect("write");
    }
    let golden = std::fs::read_to_string(path).expect("golden transcript");
    assert_eq!(now, golden);
    for line in golden.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let raw = one_frame(&unhex(words[2]));
        assert_eq!(raw.id, 7);
        if words[0] == ">" {
            let expected = sample_requests().into_iter().find(|(name, _)| *name == words[1]).expect("request").1;
            assert_eq!(Request::from_frame(&raw).expect("decode"), expected);
        } else {
            let expected = sample_replies().into_iter().find(|(name, _)| *name == words[1]).expect("reply").1;
            assert_eq!(Reply::from_frame(&raw).expect("decode"), expected);
        }
    }
}

#[test]
fn a_field_of_a_later_version_is_skipped() {
    // {0: "t", 1: 2, 9: [1, 2]}
    let body = [0xa3, 0x00, 0x61, b't', 0x01, 0x02, 0x09, 0x82, 0x01, 0x02];
    let raw = RawFrame { kind: 3, id: 1, body: body.to_vec() };
    assert_eq!(Request::from_frame(&raw).expect("decode"), Request::Attach(Attach { token: "t".into(), version: 2 }));
}

#[test]
fn frames_come_out_whole_however_they_arrive() {
    let bytes: Vec<u8> = sample_requests().iter().flat_map(|(_, request)| request.to_frame(1)).collect();
    for step in [1, 2, 7, 1000] {
        let mut frames = Frames::default();
        let mut found = Vec::new();
        for part in bytes.chunks(step) {
            frames.push(part);
            while let Some(raw) = frames.next_frame().expect("frame") {
                found.push(Request::from_frame(&raw).expect("request"));
            }
        }
        assert_eq!(found, sample_requests().into_iter().map(|(_, request)| request).collect::<Vec<_>>());
    }
}

#[test]
fn nonsense_is_refused_without_reading_on() {
    let mut frames = Frames::default();
    frames.push(&u32::MAX.to_le_bytes());
    assert!(matches!(frames.next_frame(), Err(ProtocolError::TooLong(_))));
    let mut frames = Frames::default();
    frames.push(&2u32.to_le_bytes());
    assert!(matches!(frames.next_frame(), Err(ProtocolError::TooShort(2))));
    let raw = RawFrame { kind: 77, id: 0, body: Vec::new() };
    assert!(matches!(Request::from_frame(&raw), Err(ProtocolError::UnknownKind(77))));
    let raw = RawFrame { kind: 2, id: 0, body: vec![0xff, 0x00] };
    assert!(matches!(Request::from_frame(&raw), Err(ProtocolError::Decode { .. })));
}
