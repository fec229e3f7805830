//! The examples of the documentation, run against a living agent and compared with what the pages show.
//!
//! Of each page the `console` blocks are run from top to bottom in one directory, with one agent. A line that begins with `$ ` is
//! a command, the lines below it are what it prints; `…` stands for anything, alone on a line for any number of lines. Ids and
//! times may differ. A block such as ` ```hcl web.nomad.hcl ` is a file that the commands find, `agent.hcl` is what the agent is
//! started with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use drover_e2e::{Agent, Mode, agent::program};

/// A fenced block: what stands behind the fence, and its lines.
struct Block {
    info: String,
    line: usize,
    lines: Vec<String>,
}

fn blocks(text: &str) -> Vec<Block> {
    let (mut out, mut open): (Vec<Block>, Option<Block>) = (Vec::new(), None);
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (Some(_), Some("")) => out.extend(open.take()),
            (None, Some(info)) => open = Some(Block { info: info.to_owned(), line: number + 1, lines: Vec::new() }),
            (Some(block), _) => block.lines.push(line.to_owned()),
            (None, None) => {}
        }
    }
    out
}

/// Ids and times in words, so that those of one run are those of another.
fn plain(line: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    let end = |word: &mut String, out: &mut String| {
        let (bare, colons) = word.split_at(word.trim_end_matches(':').len());
        let hex = bare.chars().all(|letter| letter.is_ascii_hexdigit() || letter == '-');
        let digits = bare.chars().any(|letter| letter.is_ascii_digit());
        match bare.len() {
            8 if hex && digits => out.push_str("<id>"),
            36 if hex => out.push_str("<id>"),
            _ if bare.starts_with("20") && bare.contains('T') && bare.ends_with('Z') => out.push_str("<time>"),
            _ => out.push_str(bare),
        }
        out.push_str(colons);
        word.clear();
    };
    for letter in line.trim_end().chars() {
        if letter.is_ascii_alphanumeric() || matches!(letter, '-' | ':') {
            word.push(letter);
        } else {
            end(&mut word, &mut out);
            out.push(letter);
        }
    }
    end(&mut word, &mut out);
    out
}

/// Whether a line is as shown.
fn line_fits(shown: &str, found: &str) -> bool {
    let parts: Vec<&str> = shown.split('…').collect();
    let [first, middle @ .., last] = &parts[..] else { return shown == found };
    let Some(mut rest) = found.strip_prefix(first) else { return false };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

fn fits(shown: &[String], found: &[String]) -> bool {
    match shown.split_first() {
        None => found.is_empty(),
        Some((first, rest)) if first == "…" => (0..=found.len()).any(|skipped| fits(rest, &found[skipped..])),
        Some((first, rest)) => found.split_first().is_some_and(|(line, others)| line_fits(first, line) && fits(rest, others)),
    }
}

/// Runs a command in the page's shell, which remembers what is exported.
fn run(directory: &Path, agent: &Agent, command: &str) -> Vec<String> {
    let before = directory.join(".exported");
    let script = format!("[ ! -f {0} ] || . {0}\n{command}\nexport -p | grep -E ' (NOMAD|DROVER)_' > {0}\n", before.display());
    let programs = program().parent().unwrap().display().to_string();
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1\n{script}")])
        .current_dir(directory)
        .env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap_or_default()))
        .env("NOMAD_ADDR", format!("http://{}", agent.address))
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).trim_matches('\n').lines().map(plain).collect()
}

fn pages(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            pages(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            out.push(path);
        }
    }
}

#[test]
fn every_example_of_the_documentation_does_what_its_page_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = vec![root.join("README.md")];
    pages(&root.join("docs"), &mut found);
    found.sort();
    let (mut examples, mut wrong) = (0, Vec::new());
    for page in found {
        let text = fs::read_to_string(&page).unwrap();
        let blocks = blocks(&text);
        if !blocks.iter().any(|block| block.info == "console") {
            continue;
        }
        let name = page.strip_prefix(&root).unwrap().display().to_string();
        let base = tempfile::tempdir().unwrap();
        let files = base.path().join("files");
        fs::create_dir_all(&files).unwrap();
        let mut config = String::new();
        for block in &blocks {
            match block.info.split_once(' ') {
                Some((_, "agent.hcl")) => config = block.lines.join("\n"),
                Some((_, file)) => fs::write(files.join(file), block.lines.join("\n") + "\n").unwrap(),
                None => {}
            }
        }
        let mut agent = Agent::prepare(base.path(), Mode::Dev, &config, &[]);
        agent.launch();
        if config.is_empty() {
            agent.wait_ready();
        } else {
            // Who may not see nodes sees the leader.
            agent.until("/v1/status/leader", "a leader", |leader| leader.as_str().is_some_and(|leader| !leader.is_empty()));
        }
        for block in blocks.iter().filter(|block| block.info == "console") {
            let mut lines = block.lines.iter().enumerate().peekable();
            while let Some((offset, line)) = lines.next() {
                let command =
                    line.strip_prefix("$ ").unwrap_or_else(|| panic!("{name}:{}: a command begins with \"$ \"", block.line + offset));
                let mut shown = Vec::new();
                while let Some((_, output)) = lines.next_if(|(_, line)| !line.starts_with("$ ")) {
                    shown.push(plain(output));
                }
                let printed = run(&files, &agent, command);
                examples += 1;
                if !fits(&shown, &printed) {
                    let place = format!("{name}:{}", block.line + offset + 1);
                    wrong.push(format!(
                        "{place}: {command}\nthe page says\n{}\nand it printed\n{}\n",
                        shown.join("\n"),
                        printed.join("\n")
                    ));
                }
            }
        }
        agent.stop();
    }
    assert!(wrong.is_empty(), "{} of {examples} examples:\n{}", wrong.len(), wrong.join("\n"));
    assert!(examples > 15, "{examples}");
    println!("{examples} examples hold");
}
