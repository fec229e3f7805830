//! The program as a shell sees it: where its words go and how it ends. That these tests exist also makes cargo build the
//! program beside the tests of the whole workspace, which the end-to-end tests start.

use std::process::{Command, Output};

fn drover(words: &[&str]) -> Output {
    // An address where nothing listens: no command may find an agent of this machine by chance.
    Command::new(env!("CARGO_BIN_EXE_drover")).args(words).env("NOMAD_ADDR", "http://127.0.0.1:1").output().expect("the program starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

#[test]
fn the_version_goes_to_standard_output() {
    let told = drover(&["version"]);
    assert_eq!(told.status.code(), Some(0));
    assert!(text(&told.stdout).starts_with("Drover v"), "{}", text(&told.stdout));
    assert!(told.stderr.is_empty(), "{}", text(&told.stderr));
}

#[test]
fn an_unknown_command_shows_the_commands_and_fails_as_shells_expect() {
    let told = drover(&["nosuch"]);
    assert_eq!(told.status.code(), Some(127));
    assert!(text(&told.stdout).contains("Usage: drover"), "{}", text(&told.stdout));
}

#[test]
fn a_command_without_an_agent_fails_and_says_where_it_looked() {
    let told = drover(&["status"]);
    assert_eq!(told.status.code(), Some(1));
    assert!(text(&told.stderr).contains("127.0.0.1:1"), "{}", text(&told.stderr));
}
