//! `var get|put|list|purge|init|lock`.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use drover_api::{Variable, VariableLock, VariableMetadata};
use drover_lang::specs::Specification;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::node_pool::input;
use crate::command::{Attempt, Context, Failure, Outcome, format_value};
use crate::flags::Flag;
use crate::row;
use crate::sdk::{Client, Query, SdkError, segment};
use crate::text::{pairs, table};

const OUT: Flag =
    Flag::value("out", "form", "How it is shown: table, json, hcl, go-template or none. Default table on a terminal, else json.");
const TEMPLATE: Flag = Flag::value("template", "template", "The template of -out go-template.");
const CHECK_INDEX: Flag = Flag::value("check-index", "index", "Only if the variable has this index; 0: only if there is none.");
const UI: Flag = Flag::switch("ui", "Open the page of the web UI.");
pub(super) const GET_FLAGS: &[Flag] = &[Flag::value("item", "key", "Print the value of this key alone."), OUT, TEMPLATE, UI];
pub(super) const PUT_FLAGS: &[Flag] = &[
    CHECK_INDEX,
    Flag::switch("force", "Write whatever is there."),
    Flag::value("in", "hcl|json", "The form of what is read. Default by the name of the file, else json."),
    OUT,
    TEMPLATE,
    super::VERBOSE,
    UI,
];
pub(super) const LIST_FLAGS: &[Flag] = &[
    super::PER_PAGE,
    super::PAGE_TOKEN,
    super::FILTER,
    Flag::value("out", "form", "How it is shown: table, terse, json or go-template. Default table on a terminal, else json."),
    TEMPLATE,
    UI,
];
pub(super) const PURGE_FLAGS: &[Flag] = &[CHECK_INDEX];
pub(super) const INIT_FLAGS: &[Flag] =
    &[Flag::value("out", "hcl|json", "The form of the file. Default hcl."), Flag::switch("quiet", "Say nothing.")];
pub(super) const LOCK_FLAGS: &[Flag] = &[
    super::VERBOSE,
    Flag::value("ttl", "duration", "How long the lock is held without being renewed. Default 15s."),
    Flag::value("delay", "duration", "How long nobody gets the lock after it has expired. Default 15s."),
    Flag::value("max-retry", "count", "How often to try to get the lock. Default 5."),
    Flag::switch("shell", "Run the command in a shell. Default where it is one word."),
];

/// How often a lock is tried to be had unless it is said.
const TRIES: u32 = 5;
/// The lock's time to live where none is given.
const TTL: Duration = Duration::from_secs(15);
/// How long a command may take to end that is asked to.
const END_GRACE: Duration = Duration::from_secs(5);
const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;

const EXAMPLE_HCL: &str = r#"# The path and the namespace may be given here or on the command line.
# path      = "path/to/variable"
# namespace = "default"

# Needed only to write over what is there: the index of the variable as it was read.
# modify_index = 0

# Keys and values, all of them texts.
items {
  key1 = "value 1"
  key2 = "value 2"
}
"#;
const EXAMPLE_JSON: &str = "{\n  \"Items\": {\n    \"key1\": \"value 1\",\n    \"key2\": \"value 2\"\n  }\n}\n";

fn path_of(path: &str) -> String {
    format!("/v1/var/{}", path.split('/').map(segment).collect::<Vec<_>>().join("/"))
}

/// How the result is shown, by the flag or by where it goes.
fn form(context: &Context, piped: &str) -> Result<String, Failure> {
    let given = context.flags.text("out").unwrap_or("");
    let form = match given {
        "" if context.flags.given("template") => "go-template",
        "" => piped,
        other => other,
    };
    if !["table", "json", "hcl", "go-template", "none", "terse"].contains(&form) {
        return Err(Failure::usage(format!(
            "Invalid value for \"-out\"; valid values are [go-template, hcl, json, none, table], not {form:?}"
        )));
    }
    if form == "go-template" && context.flags.text("template").unwrap_or("").is_empty() {
        return Err(Failure::usage("A template must be supplied using '-template' when using go-template formatting"));
    }
    Ok(form.to_owned())
}

fn no_wildcard(context: &Context) -> Result<(), Failure> {
    if context.client_config().namespace == "*" {
        return Err(Failure::new("The wildcard namespace (\"*\") is not valid here"));
    }
    Ok(())
}

fn time(context: &Context, nanoseconds: i64) -> String {
    context.zone.nanoseconds(nanoseconds)
}

/// The variable in the order that people read it.
fn as_json(variable: &Variable) -> String {
    let quoted = |text: &str| crate::text::json(text);
    let items: Vec<String> = variable
        .items
        .iter()
        .flatten()
        .map(|(key, value)| format!("    {}: {}", quoted(key).trim_end(), quoted(value).trim_end()))
        .collect();
    format!(
        "{{\n  \"Namespace\": {},\n  \"Path\": {},\n  \"CreateIndex\": {},\n  \"ModifyIndex\": {},\n  \"CreateTime\": {},\n  \"ModifyTime\": {},\n  \"Items\": {{\n{}\n  }}\n}}",
        quoted(&variable.namespace).trim_end(),
        quoted(&variable.path).trim_end(),
        variable.create_index,
        variable.modify_index,
        variable.create_time,
        variable.modify_time,
        items.join(",\n"),
    )
}

fn as_hcl(variable: &Variable) -> String {
    let width = variable.items.iter().flatten().map(|(key, _)| key.len()).max().unwrap_or(0);
    let items: String = variable.items.iter().flatten().map(|(key, value)| format!("  {key:width$} = {value:?}\n")).collect();
    format!(
        "\nnamespace    = {:?}\npath         = {:?}\ncreate_index = {}  # Set by server\nmodify_index = {}  # Set by server; consulted for check-and-set\ncreate_time  = {}   # Set by server\nmodify_time  = {}   # Set by server\n\nitems = {{\n{items}}}",
        variable.namespace, variable.path, variable.create_index, variable.modify_index, variable.create_time, variable.modify_time,
    )
}

fn show(context: &Context, variable: &Variable, form: &str) -> Outcome {
    match form {
        "json" => context.ui.output(as_json(variable)),
        "hcl" => context.ui.output(as_hcl(variable)),
        "go-template" => {
            let value = serde_json::to_value(variable).map_err(|error| Failure::new(error.to_string()))?;
            context.ui.output(format_value(&value, context.flags.text("template"))?);
        }
        "table" => {
            let mut rows = vec![
                ("Namespace", variable.namespace.clone()),
                ("Path", variable.path.clone()),
                ("Create Time", time(context, variable.create_time)),
            ];
            if variable.create_time != variable.modify_time {
                rows.push(("Modify Time", time(context, variable.modify_time)));
            }
            rows.push(("Check Index", variable.modify_index.to_string()));
            context.ui.output(pairs(&rows));
            context.ui.output(format!("\n{}", context.title("Items")));
            let items: Vec<(String, String)> = variable.items.clone().unwrap_or_default().into_iter().collect();
            context.ui.output(pairs(&items));
        }
        _ => {}
    }
    Ok(0)
}

async fn found(client: &Client, path: &str) -> Result<Option<Variable>, Failure> {
    match client.get::<Variable>(&path_of(path), &Query::new()).await {
        Ok(answer) => Ok(Some(answer.value)),
        Err(error) if error.is_code(404) => Ok(None),
        Err(error) => Err(error).attempt("Error retrieving variable"),
    }
}

pub(super) async fn get(context: &mut Context) -> Outcome {
    let path = context.one_argument("<path>")?;
    no_wildcard(context)?;
    let form = form(context, if context.ui.colours() { "table" } else { "json" })?;
    let client = context.client()?;
    let Some(variable) = found(&client, &path).await? else {
        context.ui.warn("Variable not found");
        return Ok(1);
    };
    if let Some(key) = context.flags.text("item") {
        return match variable.items.as_ref().and_then(|items| items.get(key)) {
            Some(value) => {
                context.ui.raw(value.as_bytes());
                Ok(0)
            }
            None => Err(Failure::new(format!("Variable does not contain {key:?} item"))),
        };
    }
    show(context, &variable, &form)?;
    page_of(context, &client, &variable).await;
    Ok(0)
}

/// Points to the page of a variable.
async fn page_of(context: &Context, client: &Client, variable: &Variable) {
    let namespace = if variable.namespace.is_empty() { "default" } else { &variable.namespace };
    context.hint(client, "View variable details", &format!("variables/var/{}@{namespace}", variable.path)).await;
}

/// A variable as a file or standard input says it.
fn read(context: &Context, given: &str) -> Result<Variable, Failure> {
    let path = given.strip_prefix('@').unwrap_or(given);
    let text = input(context, path)?;
    let by_name = if path.ends_with(".hcl") { "hcl" } else { "json" };
    let wrong = |reason: String| Failure::new(format!("Failed to parse input content: {reason}"));
    match context.flags.text("in").unwrap_or(by_name) {
        "hcl" => super::node_pool::specification(context, Specification::Variable, path, text),
        _ => serde_json::from_str(&text).map_err(|error| wrong(error.to_string())),
    }
}

fn is_source(argument: &str) -> bool {
    argument == "-" || argument.starts_with('@')
}

/// What is to be written: a path, a specification, and keys with values, in any sensible order.
fn asked(context: &Context) -> Result<Variable, Failure> {
    let mut arguments = context.arguments();
    let Some(first) = arguments.first() else {
        return Err(Failure::usage("Not enough arguments (expected >1, got 0)"));
    };
    let mut variable = Variable::default();
    if is_source(first) {
        variable = read(context, first)?;
    } else {
        first.trim_start_matches('/').clone_into(&mut variable.path);
    }
    arguments = &arguments[1..];
    if let Some(source) = arguments.first().filter(|argument| is_source(argument)) {
        let from = read(context, source)?;
        let path = if variable.path.is_empty() { from.path.clone() } else { variable.path };
        variable = Variable { path, ..from };
        arguments = &arguments[1..];
    }
    let items = variable.items.get_or_insert_with(BTreeMap::new);
    for argument in arguments {
        let Some((key, value)) = argument.split_once('=') else {
            let reason = format!("invalid key/value pair {argument:?}: format must be key=value");
            return Err(Failure::new(format!("Failed to parse K=V data: {reason}")));
        };
        let value = match value.strip_prefix('@') {
            Some(path) => input(context, path)?,
            None if value == "-" => input(context, value)?,
            None => value.to_owned(),
        };
        if value.is_empty() {
            items.remove(key);
        } else {
            items.insert(key.to_owned(), value);
        }
    }
    if items.is_empty() {
        return Err(Failure::usage("Must supply data"));
    }
    if variable.path.is_empty() {
        return Err(Failure::usage("Must supply a path, on the command line or in the specification"));
    }
    Ok(variable)
}

/// Explains that the variable is not as it was expected to be.
fn explain_conflict(context: &Context, error: &SdkError, expected: u64) -> Option<Failure> {
    let stored: Value = serde_json::from_str(error.body().filter(|_| error.is_code(409))?).ok()?;
    let index = stored["ModifyIndex"].as_u64().unwrap_or(0);
    let mut lines = format!("Your provided check-index ({expected}) does not match the server-side index ({index}). The server-side item");
    match stored["ModifyTime"].as_i64().unwrap_or(0) {
        0 => lines.push_str(" does not exist, or is locked."),
        nanoseconds => lines.push_str(&format!(" was last updated on {}.", time(context, nanoseconds))),
    }
    lines.push_str(&format!(
        " If you are sure you want to perform this operation, add the -force or -check-index={index} flag before the positional arguments."
    ));
    let mut text = format!("\n{}\n", context.title("Check-and-Set conflict"));
    let mut line = String::new();
    for word in lines.split(' ') {
        if !line.is_empty() && line.len() + 1 + word.len() > 79 {
            text.push_str(&format!("\n    {line}"));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    text.push_str(&format!("\n    {line}"));
    Some(Failure::new(text))
}

fn check_index(context: &Context) -> Result<Option<u64>, Failure> {
    match context.flags.text("check-index") {
        None => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| Failure::new(format!("Invalid -check-index value {text:?}: not a valid uint64"))),
    }
}

pub(super) async fn put(context: &mut Context) -> Outcome {
    no_wildcard(context)?;
    let form = form(context, if context.ui.colours() { "none" } else { "json" })?;
    let mut variable = asked(context)?;
    let expected = check_index(context)?.unwrap_or(variable.modify_index);
    if variable.namespace.is_empty() {
        variable.namespace = context.client_config().namespace;
    }
    let query = if context.flags.on("force") { Query::new() } else { Query::new().set("cas", expected) };
    let client = context.client()?;
    let body = json!({ "Namespace": variable.namespace, "Path": variable.path, "Items": variable.items });
    let written = match client.put::<_, Variable>(&path_of(&variable.path), &query, &body).await {
        Ok(answer) => answer.value,
        Err(error) => {
            return Err(match explain_conflict(context, &error, expected) {
                Some(conflict) => conflict,
                None => Failure::new(format!("Error creating variable: {error}")),
            });
        }
    };
    if form == "none" {
        context.ui.output(format!("Created variable {:?} with modify index {}", written.path, written.modify_index));
    } else {
        show(context, &written, &form)?;
    }
    page_of(context, &client, &written).await;
    Ok(0)
}

pub(super) async fn list(context: &mut Context) -> Outcome {
    let prefix = match context.arguments() {
        [] => String::new(),
        [prefix] => prefix.trim_start_matches('/').to_owned(),
        _ => return Err(Failure::usage("This command takes flags and either no arguments or one: <prefix>")),
    };
    let form = form(context, if context.ui.colours() { "table" } else { "json" })?;
    let client = context.client()?;
    let query = super::paged(context).set_some("prefix", &prefix);
    let asked = context.clock.now();
    let answer = client.get::<Value>("/v1/vars", &query).await.attempt("Error retrieving variables")?;
    let took = context.clock.now().0 - asked.0;
    let everywhere = context.client_config().namespace == "*";
    let variables: Vec<VariableMetadata> = super::node_pool::decoded(answer.value, "Error retrieving variables")?;
    let stubs: Vec<Value> = variables
        .iter()
        .map(|variable| {
            json!({ "CreateIndex": variable.create_index, "CreateTime": variable.create_time, "ModifyIndex": variable.modify_index,
                    "ModifyTime": variable.modify_time, "Namespace": variable.namespace, "Path": variable.path })
        })
        .collect();
    match form.as_str() {
        "json" => {
            let value = if context.flags.given("per-page") {
                let meta = json!({ "KnownLeader": true, "LastContact": 0, "LastIndex": answer.meta.index, "NextToken": answer.meta.next_token,
                    "RequestTime": took });
                json!({ "Data": stubs, "QueryMeta": meta })
            } else {
                json!(stubs)
            };
            context.ui.output(crate::text::json(&value));
            return Ok(0);
        }
        "go-template" => {
            context.ui.output(format_value(&json!(stubs), context.flags.text("template"))?);
            return Ok(0);
        }
        "terse" => {
            for variable in &variables {
                let shown = if everywhere { format!("{}|{}", variable.namespace, variable.path) } else { variable.path.clone() };
                context.ui.output(shown);
            }
        }
        _ if variables.is_empty() => context.ui.output("No matching variables found"),
        _ => {
            let mut rows = vec![row!["Namespace", "Path", "Last Updated"]];
            rows.extend(variables.iter().map(|variable| row![variable.namespace, variable.path, time(context, variable.modify_time)]));
            context.ui.output(table(&rows));
        }
    }
    if !answer.meta.next_token.is_empty() {
        context.ui.note(format!("Next page token: {}", answer.meta.next_token));
    }
    if form != "json" && !variables.is_empty() {
        context.hint(&client, "View Drover variables", "variables").await;
    }
    Ok(0)
}

pub(super) async fn purge(context: &mut Context) -> Outcome {
    let path = context.one_argument("<path>")?;
    no_wildcard(context)?;
    let expected = check_index(context)?;
    let query = match expected {
        Some(index) => Query::new().set("cas", index),
        None => Query::new(),
    };
    let client = context.client()?;
    if let Err(error) = client.delete::<Value>(&path_of(&path), &query).await {
        return Err(match explain_conflict(context, &error, expected.unwrap_or(0)) {
            Some(conflict) => conflict,
            None => Failure::new(format!("Error purging variable: {error}")),
        });
    }
    context.ui.output(format!("Successfully purged variable {path:?}!"));
    Ok(0)
}

pub(super) async fn init(context: &mut Context) -> Outcome {
    let (name, text) = match context.flags.text("out").unwrap_or("hcl") {
        "hcl" => ("spec.nv.hcl", EXAMPLE_HCL),
        "json" => ("spec.nv.json", EXAMPLE_JSON),
        other => return Err(Failure::usage(format!("Invalid value for \"-out\": it is hcl or json, not {other:?}"))),
    };
    let name = match context.arguments() {
        [] => name.to_owned(),
        [given] => given.clone(),
        _ => return Err(Failure::usage("This command takes no arguments or one: <filename>")),
    };
    let file = context.environment.directory.join(&name);
    if file.exists() {
        return Err(Failure::new(format!("File {name:?} already exists")));
    }
    std::fs::write(&file, text).map_err(|error| Failure::new(format!("Failed to write {name:?}: {error}")))?;
    if !context.flags.on("quiet") {
        context.ui.output(format!("Example variable specification written to {name}"));
    }
    Ok(0)
}

pub(super) async fn lock(context: &mut Context) -> Outcome {
    let arguments = context.arguments().to_vec();
    let [path, command @ ..] = arguments.as_slice() else {
        return Err(Failure::new("Not enough arguments (expected >2, got 0)"));
    };
    if command.is_empty() {
        return Err(Failure::new(format!("Not enough arguments (expected >2, got {})", arguments.len())));
    }
    no_wildcard(context)?;
    let say = |text: String| {
        if context.verbose() {
            context.ui.note(text);
        }
    };
    say(format!("Writing to path {path:?}"));
    let text = |flag: &str| context.flags.text(flag).unwrap_or("").to_owned();
    if text("ttl").is_empty() && text("delay").is_empty() {
        say("Using defaults for the lock".to_owned());
    }
    let ttl = match crate::text::parse_duration(&text("ttl")) {
        Some(nanoseconds) if nanoseconds > 0 => Duration::from_nanos(nanoseconds),
        _ => TTL,
    };
    let tries = text("max-retry").parse().unwrap_or(TRIES);
    let client = context.client()?;
    let (place, acquire) = (path_of(path), Query::new().set("lock-acquire", ""));
    // What the variable holds stays in it.
    let items = found(&client, path).await?.and_then(|variable| variable.items).unwrap_or_default();
    let body = json!({ "Items": items, "Lock": VariableLock { ttl: text("ttl"), lock_delay: text("delay"), ..VariableLock::default() } });
    say("Attempting to acquire lock".to_owned());
    let mut attempt = 0;
    let held = loop {
        match client.put::<_, Variable>(&place, &acquire, &body).await {
            Ok(answer) => break answer.value.lock.unwrap_or_default(),
            Err(error) if error.is_code(409) && attempt < tries => {
                attempt += 1;
                context.clock.sleep(ttl.mul_f64(1.1)).await;
            }
            Err(error) => return Err(Failure::new(format!("Lock error:{error}"))),
        }
    };
    say(format!("Variable locked, ready to execute: {}", command.join(" ")));
    let holder = json!({ "Lock": { "ID": held.id } });
    let ran = Box::pin(run(context, &client, &place, &holder, ttl, command)).await;
    let released = client.put::<_, Value>(&place, &Query::new().set("lock-release", ""), &holder).await;
    match (ran, released) {
        (Err(failure), _) => Err(failure),
        (Ok(()), Err(error)) => Err(Failure::new(format!("Lock error:{error}"))),
        (Ok(()), Ok(_)) => Ok(0),
    }
}

/// Ends a command and what it started: first it is asked to, then it is made to.
async fn end(context: &Context, child: &mut tokio::process::Child) {
    let group = child.id().and_then(|pid| i32::try_from(pid).ok()).map(|pid| -pid);
    let send = |signal| group.is_some_and(|group| drover_linux::process::kill(group, signal).is_ok());
    if send(SIGTERM) && context.clock.timeout(END_GRACE, child.wait()).await.is_some() {
        return;
    }
    send(SIGKILL);
    drop(child.wait().await);
}

/// Runs the command and renews the lock until it ends; a lock that is lost ends the command, and so does an interrupt.
async fn run(context: &Context, client: &Client, place: &str, holder: &Value, ttl: Duration, command: &[String]) -> Result<(), Failure> {
    let failed =
        |text: String| Failure::new(format!("Lock error:1 error occurred:\n\t* locks: error executing protected function {text}\n\n"));
    let mut process = match command {
        [line] => {
            let mut shell = tokio::process::Command::new("/bin/sh");
            shell.args(["-c", line]);
            shell
        }
        [program, arguments @ ..] => {
            let mut process = tokio::process::Command::new(program);
            process.args(arguments);
            process
        }
        [] => return Ok(()),
    };
    process.current_dir(&context.environment.directory).kill_on_drop(true).stdin(Stdio::null());
    process.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = process.spawn().map_err(|error| failed(error.to_string()))?;
    let (out, error) = (child.stdout.take(), child.stderr.take());
    let copies = async { tokio::join!(copy(out, |bytes| context.ui.raw(bytes)), copy(error, |bytes| context.ui.raw_error(bytes))) };
    tokio::pin!(copies);
    let renew = Query::new().set("lock-renew", "");
    let mut terminated = signal(SignalKind::terminate()).map_err(|error| failed(error.to_string()))?;
    let (mut renewed, mut copied) = (context.clock.monotonic(), false);
    let ended = loop {
        tokio::select! {
            ended = child.wait() => break Ok(ended),
            _ = &mut copies, if !copied => copied = true,
            _ = tokio::signal::ctrl_c() => break Err("it was interrupted"),
            _ = terminated.recv() => break Err("it was asked to end"),
            () = context.clock.sleep(ttl / 2) => {
                let asked = context.clock.monotonic();
                match client.put::<_, Value>(place, &renew, holder).await {
                    Ok(_) => renewed = asked,
                    Err(error) if error.is_code(409) => break Err("the lock was lost, and the command was ended"),
                    // Nobody else gets the lock before its time is up.
                    Err(_) if context.clock.monotonic().since(renewed) < ttl => {}
                    Err(_) => break Err("the lock could not be renewed in time, and the command was ended"),
                }
            }
        }
    };
    let status = match ended {
        Ok(status) => status,
        Err(reason) => {
            end(context, &mut child).await;
            return Err(failed(reason.to_owned()));
        }
    };
    if !copied {
        // What the command left running may keep its output open.
        let _ = context.clock.timeout(END_GRACE, copies).await;
    }
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failed(status.code().map_or_else(|| status.to_string(), |code| format!("exit status {code}")))),
        Err(error) => Err(failed(error.to_string())),
    }
}

async fn copy(from: Option<impl tokio::io::AsyncRead + Unpin>, to: impl Fn(&[u8])) {
    use tokio::io::AsyncReadExt;
    let Some(mut from) = from else { return };
    let mut buffer = [0; 8192];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        to(&buffer[..count]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_shown_as_a_specification_that_reads_to_the_same() {
        let items = BTreeMap::from([("door".to_owned(), "red".to_owned()), ("k".to_owned(), "a \"b\"".to_owned())]);
        let variable = Variable { namespace: "default".into(), path: "farm/barn".into(), items: Some(items), ..Variable::default() };
        let json: Variable = serde_json::from_str(&as_json(&variable)).unwrap();
        assert_eq!((&json.items, &json.path), (&variable.items, &variable.path));
        let hcl = as_hcl(&variable);
        assert!(hcl.contains("items = {\n  door = \"red\"\n  k    = \"a \\\"b\\\"\"\n}"), "{hcl}");
        assert!(hcl.contains("modify_index = 0  # Set by server; consulted for check-and-set"), "{hcl}");
    }
}
