//! Job files: where they come from, which variables go with them, and what the server keeps of their source.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use drover_api::{Job, JobSubmission};
use drover_lang::diag::{explained, underlined};
use drover_lang::hcl::eval::{Budget, Host};
use drover_lang::hcl::vars::Inputs;
use drover_lang::jobspec::{Options, Places, parse_job, places};
use drover_lang::{Problem, Source};
use drover_model::admission;
use drover_rt::Entropy;

use crate::command::{Context, Failure};
use crate::flags::Flag;

/// The largest job file that is read.
const SOURCE_MAX: usize = 16 * 1024 * 1024;
/// How long fetching a job file may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(60);

/// `-json`.
pub const JSON: Flag = Flag::switch("json", "The job file is JSON, bare or as {\"Job\": ...}.");
/// `-hcl2-strict`.
pub const STRICT: Flag = Flag::switch("hcl2-strict", "Refuse variables that the job file does not declare. Default true.");
/// `-var`.
pub const VAR: Flag = Flag::values("var", "name=value", "Set a variable of the job file. May be repeated. Also NOMAD_VAR_<name>.");
/// `-var-file`.
pub const VAR_FILE: Flag = Flag::values("var-file", "path", "Read variables from a file. May be repeated.");

/// A job as read.
#[derive(Clone, Debug)]
pub struct JobFile {
    /// The job.
    pub job: Job,
    /// What is sent along so that the source can be shown later.
    pub submission: Option<JobSubmission>,
    /// What it was read from.
    pub written: Written,
}

/// The text of a job, with everything that it was read with.
#[derive(Clone, Debug)]
pub struct Written {
    name: String,
    text: String,
    variables: Option<Variables>,
}

impl Written {
    /// What the rules for jobs say about `job`, each problem at the place of the file that made it; only those that are told
    /// in `answer`, if there is one, with those that only a region knows. None when the job breaks no rule.
    pub fn problems(&self, context: &Context, job: &Job, answer: Option<&str>) -> Option<Explained> {
        let problems = admission_problems(job);
        let mut found: Vec<_> = problems.found.iter().filter(|one| answer.is_none_or(|answer| answer.contains(&one.text))).collect();
        let told = answer.map(|answer| admission::told_by_region(job, answer)).unwrap_or_default();
        let known = found.clone();
        found.extend(told.found.iter().filter(|one| !known.iter().any(|other| other.text == one.text)));
        if found.is_empty() {
            return None;
        }
        let source = Source::new(self.name.as_str(), self.text.as_str());
        let files: Vec<Source> = self.variables.iter().flat_map(Variables::sources).collect();
        let places = match &self.variables {
            None => Places::of_api_job(&source),
            Some(variables) => {
                let host = Files::of(context);
                places(&source, &Options { inputs: variables.inputs(context), host: &host, budget: Budget::default() })
            }
        };
        let problems: Vec<Problem> = found.iter().map(|one| places.problem(&one.path, one.text.trim_end())).collect();
        let sources: Vec<&Source> = std::iter::once(&source).chain(&files).collect();
        let text = problems.iter().map(|problem| shown(problem, &sources)).collect::<Vec<_>>().join("\n");
        Some(Explained { json: drover_lang::diag::json(&problems).to_string(), text })
    }

    /// An error of an agent, and below it the places of the file that it is about.
    pub fn explain(&self, context: &Context, job: &Job, error: String) -> String {
        match self.problems(context, job, Some(&error)) {
            Some(explained) => format!("{}\n\n{}", error.trim_end(), explained.text),
            None => error,
        }
    }
}

/// Problems with their places, for people and for programs.
#[derive(Clone, Debug)]
pub struct Explained {
    /// One below the other, each with its line.
    pub text: String,
    /// As JSON.
    pub json: String,
}

/// What a server would find wrong with a job, as far as that follows from the job alone.
fn admission_problems(job: &Job) -> admission::JobProblems {
    let mut job = job.clone();
    let namespace = job.namespace.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| "default".to_owned());
    admission::canonicalize(&mut job, &admission::Surroundings { region: "global", namespace: &namespace });
    admission::complete(&mut job);
    admission::validate(&job)
}

/// Reads the job that an argument names: a path, `-` for the input, or an http(s) address.
///
/// # Errors
/// With every problem of the file, each with its place.
pub async fn read(context: &Context, path: &str) -> Result<JobFile, Failure> {
    let source = source(context, path).await.map_err(|error| Failure::new(format!("Error getting job struct: {error}")))?;
    let problem = |error: String| Failure::new(format!("Error getting job struct: {error}"));
    if context.flags.on("json") {
        if !context.flags.values("var").is_empty() || !context.flags.values("var-file").is_empty() {
            return Err(problem("cannot use variables with JSON files".to_owned()));
        }
        let job = json(&source).map_err(problem)?;
        let written = Written { name: shown_name(path).to_owned(), text: source.clone(), variables: None };
        let submission = JobSubmission { source, format: "json".to_owned(), ..JobSubmission::default() };
        return Ok(JobFile { job, submission: Some(submission), written });
    }
    let variables = variables(context).map_err(problem)?;
    let job = parse(&source, shown_name(path), &variables, context).map_err(|error| {
        // As JSON the problems stand alone.
        if context.flags.on("json-output") { Failure::new(error) } else { problem(format!("Error parsing job file from {path}:\n{error}")) }
    })?;
    let written = Written { name: shown_name(path).to_owned(), text: source.clone(), variables: Some(variables.clone()) };
    let submission = JobSubmission {
        source,
        format: "hcl2".to_owned(),
        variable_flags: Some(variables.flags).filter(|flags| !flags.is_empty()),
        variables: variables.files.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("\n"),
        ..JobSubmission::default()
    };
    Ok(JobFile { job, submission: Some(submission), written })
}

fn shown_name(path: &str) -> &str {
    if path == "-" { "stdin" } else { path }
}

/// Variables from outside the job file.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    /// From `-var` and the environment.
    pub flags: BTreeMap<String, String>,
    /// From `-var` alone, as given: these must be declared.
    pub explicit: Vec<String>,
    /// From `-var-file`, each with its path.
    pub files: Vec<(String, String)>,
}

impl Variables {
    fn inputs(&self, context: &Context) -> Inputs {
        Inputs {
            arguments: self.explicit.clone(),
            environment: context.environment.variables.iter().map(|(name, value)| format!("{name}={value}")).collect(),
            files: self.files.clone(),
            content: None,
            lax: context.flags.value("hcl2-strict") == Some("false"),
        }
    }

    fn sources(&self) -> Vec<Source> {
        self.files.iter().map(|(path, text)| Source::new(path.as_str(), text.as_str())).collect()
    }
}

fn variables(context: &Context) -> Result<Variables, String> {
    let mut out = Variables { flags: context.environment.job_variables(), ..Variables::default() };
    for pair in context.flags.values("var") {
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            format!("The given -var option {pair:?} is not correctly specified. Must be a variable name and value separated by an equals sign, like -var=\"key=value\".")
        })?;
        out.flags.insert(name.to_owned(), value.to_owned());
        out.explicit.push(pair.clone());
    }
    for path in context.flags.values("var-file") {
        let full = context.environment.directory.join(path);
        let text = std::fs::read_to_string(&full)
            .map_err(|error| format!("Failed to read variable file {path}: {}", unreadable(&full, &error)))?;
        out.files.push((path.clone(), text));
    }
    Ok(out)
}

async fn source(context: &Context, path: &str) -> Result<String, String> {
    let bytes = if path == "-" {
        context.ui.read_input(SOURCE_MAX).map_err(|error| format!("Error reading the job from the input: {error}"))?
    } else if path.starts_with("http://") || path.starts_with("https://") {
        fetch(path).await.map_err(|error| format!("Error getting jobfile from {path:?}: {error}"))?
    } else {
        let full = context.environment.directory.join(path);
        let missing = |error: std::io::Error| {
            let reason = match error.kind() {
                std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
                std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
                _ => error.to_string(),
            };
            format!("Error getting jobfile from {path:?}: source path error: stat {}: {reason}", full.display())
        };
        let size = std::fs::metadata(&full).map_err(missing)?;
        if size.is_dir() {
            return Err(format!("Error getting jobfile from {path:?}: it is a directory; name a file in it"));
        }
        if size.len() > SOURCE_MAX as u64 {
            return Err(format!("Error getting jobfile from {path:?}: larger than {} MiB", SOURCE_MAX >> 20));
        }
        std::fs::read(&full).map_err(missing)?
    };
    String::from_utf8(bytes).map_err(|_| format!("Error getting jobfile from {path:?}: not UTF-8 text"))
}

async fn fetch(url: &str) -> Result<Vec<u8>, String> {
    let builder = || reqwest::Client::builder().timeout(FETCH_TIMEOUT);
    // A machine without certificates of authorities trusts none; plain HTTP needs none.
    let client = builder().build().or_else(|_| builder().tls_certs_only([]).build()).map_err(|error| error.to_string())?;
    let response = client.get(url).send().await.map_err(|error| error.to_string())?;
    if !response.status().is_success() {
        return Err(format!("bad response code: {}", response.status().as_u16()));
    }
    let bytes = response.bytes().await.map_err(|error| error.to_string())?;
    if bytes.len() > SOURCE_MAX { Err("the file is too large".to_owned()) } else { Ok(bytes.to_vec()) }
}

/// A job from JSON, with or without the wrapper.
fn json(source: &str) -> Result<Job, String> {
    let value: serde_json::Value = serde_json::from_str(source).map_err(|error| {
        let reason = match source.trim_start().chars().next() {
            Some(letter) if !matches!(letter, '{' | '[' | '"' | '-' | '0'..='9' | 't' | 'f' | 'n') => {
                format!("invalid character {letter:?} looking for beginning of value")
            }
            _ => error.to_string(),
        };
        format!("Failed to parse JSON job: {reason}")
    })?;
    let wrapped = value.as_object().and_then(|fields| fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("job")));
    let job = wrapped.map_or(value.clone(), |(_, job)| job.clone());
    let job: Job = serde_json::from_value(job).map_err(|error| format!("Failed to parse JSON job: {error}"))?;
    if job.id.as_deref().unwrap_or("").is_empty() && job.name.as_deref().unwrap_or("").is_empty() {
        return Err("Failed to parse JSON job: no job found in the file".to_owned());
    }
    Ok(job)
}

/// A job from HCL, or everything that is wrong with the text: each problem with its place and the line it is on.
fn parse(text: &str, name: &str, variables: &Variables, context: &Context) -> Result<Job, String> {
    let source = Source::new(name, text);
    let host = Files::of(context);
    let options = Options { inputs: variables.inputs(context), host: &host, budget: Budget::default() };
    let files = variables.sources();
    let sources: Vec<&Source> = std::iter::once(&source).chain(&files).collect();
    match parse_job(&source, &options) {
        Ok(parsed) => {
            for warning in &parsed.warnings {
                context.ui.warn(shown(warning, &sources));
            }
            Ok(parsed.job)
        }
        Err(problems) if context.flags.on("json-output") => Err(drover_lang::diag::json(&problems).to_string()),
        Err(problems) => Err(problems.iter().map(|problem| shown(problem, &sources)).collect::<Vec<_>>().join("\n")),
    }
}

/// A problem on one line, then the line of the source with the place marked.
fn shown(problem: &Problem, sources: &[&Source]) -> String {
    let Some(place) = &problem.place else { return problem.to_string() };
    let explained =
        if problem.cause.as_ref().is_some_and(|cause| cause.place.is_some()) { explained(problem, sources) } else { String::new() };
    format!("{problem}\n{}{explained}", underlined(place, sources)).trim_end().to_owned()
}

/// Why a file cannot be read, with the path that was tried.
fn unreadable(path: &std::path::Path, error: &std::io::Error) -> String {
    let reason = match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    };
    format!("open {}: {reason}", path.display())
}

/// A path whose `..` are resolved by what stands before them, without a look at the disk.
fn without_detours(path: &std::path::Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        if part == std::path::Component::ParentDir {
            out.pop();
        } else {
            out.push(part);
        }
    }
    out
}

/// Files and randomness for the functions of job files.
struct Files {
    directory: PathBuf,
    home: Option<String>,
}

impl Files {
    fn of(context: &Context) -> Self {
        Self { directory: context.environment.directory.clone(), home: context.environment.get("HOME").map(str::to_owned) }
    }
}

impl Host for Files {
    fn has_files(&self) -> bool {
        true
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let full = self.directory.join(path);
        let size = std::fs::metadata(&full).map_err(|error| unreadable(&full, &error))?.len();
        if size > SOURCE_MAX as u64 {
            return Err(format!("{} is larger than {} MiB", full.display(), SOURCE_MAX >> 20));
        }
        std::fs::read(&full).map_err(|error| unreadable(&full, &error))
    }

    fn exists(&self, path: &str) -> Result<bool, String> {
        match std::fs::metadata(self.directory.join(path)) {
            Ok(found) if found.is_file() => Ok(true),
            Ok(_) => Err(format!("{path} is not a regular file")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    fn walk(&self, directory: &str, limit: usize) -> Result<Vec<String>, String> {
        let root = self.directory.join(directory);
        let mut found = Vec::new();
        let mut waiting = vec![root.clone()];
        while let Some(next) = waiting.pop() {
            let entries = match std::fs::read_dir(&next) {
                Ok(entries) => entries,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error.to_string()),
            };
            for entry in entries {
                let entry = entry.map_err(|error| error.to_string())?;
                let kind = entry.file_type().map_err(|error| error.to_string())?;
                if kind.is_dir() {
                    waiting.push(entry.path());
                } else if kind.is_file() {
                    let path = entry.path();
                    found.push(path.strip_prefix(&root).unwrap_or(&path).to_string_lossy().into_owned());
                }
                if found.len() + waiting.len() > limit {
                    return Err(format!("more than {limit} files below {directory}"));
                }
            }
        }
        Ok(found)
    }

    fn absolute(&self, path: &str) -> Result<String, String> {
        let full = std::path::absolute(self.directory.join(path)).map_err(|error| error.to_string())?;
        Ok(without_detours(&full).to_string_lossy().into_owned())
    }

    fn home(&self) -> Option<String> {
        self.home.clone()
    }

    fn random(&self, bytes: &mut [u8]) {
        let entropy = Entropy::system();
        for part in bytes.chunks_mut(16) {
            part.copy_from_slice(&entropy.bits().to_le_bytes()[..part.len()]);
        }
    }
}
