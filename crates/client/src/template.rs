//! Templates of a task, rendered before it starts: from text in the job or a file of the task, into a file beneath the task's directory
//! or into its environment.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use drover_lang::gotmpl;
use drover_lang::sockaddr::Interface;
use drover_model::Template;
use drover_runner::environment::Environment;

/// Turns a template's text into what it stands for.
pub trait Renderer: Send + Sync {
    /// The rendered text, or what is wrong with the template.
    fn render(&self, request: &RenderRequest<'_>) -> Result<String, String>;
}

/// One template to render.
pub struct RenderRequest<'a> {
    pub text: &'a str,
    pub left_delimiter: &'a str,
    pub right_delimiter: &'a str,
    /// Whether a missing map key is an error.
    pub missing_key_is_error: bool,
    pub environment: &'a Environment,
    /// Seconds since the Unix epoch.
    pub now: i64,
    /// Reads a file beneath the task's directory.
    pub read_file: &'a dyn Fn(&str) -> Result<String, String>,
}

/// Renders the template language of job files, with the task's environment and the files beneath its directory.
#[derive(Debug, Clone, Copy, Default)]
pub struct GoTemplates;

struct Seen<'a>(&'a RenderRequest<'a>);

impl gotmpl::Data for Seen<'_> {
    fn environment(&self, name: &str) -> Option<String> {
        self.0.environment.look_up(name).map(str::to_owned)
    }

    fn file(&self, path: &str) -> Result<String, gotmpl::DataError> {
        (self.0.read_file)(path).map_err(gotmpl::DataError::Failed)
    }

    fn now(&self) -> i64 {
        self.0.now
    }

    fn interfaces(&self) -> Vec<Interface> {
        interfaces()
    }
}

/// The host's network interfaces, as address templates see them.
pub fn interfaces() -> Vec<Interface> {
    let default = drover_linux::fingerprint::default_interface();
    let networks = drover_linux::fingerprint::networks().unwrap_or_default();
    let known = drover_linux::fingerprint::interfaces().unwrap_or_default();
    known
        .into_iter()
        .map(|interface| {
            let own = networks.iter().filter(|(name, _, _)| *name == interface.name);
            let flags = [("up", interface.is_up), ("loopback", interface.is_loopback)];
            Interface {
                flags: flags.into_iter().filter(|(_, set)| *set).map(|(flag, _)| flag.to_owned()).collect(),
                addresses: own.filter_map(|(_, address, length)| format!("{address}/{length}").parse().ok()).collect(),
                default: default.as_deref() == Some(interface.name.as_str()),
                name: interface.name,
            }
        })
        .collect()
}

impl Renderer for GoTemplates {
    fn render(&self, request: &RenderRequest<'_>) -> Result<String, String> {
        let options = gotmpl::Options {
            left_delimiter: request.left_delimiter.to_owned(),
            right_delimiter: request.right_delimiter.to_owned(),
            error_on_missing_key: request.missing_key_is_error,
            ..gotmpl::Options::default()
        };
        let seen = Seen(request);
        let template = gotmpl::Template::parse(request.text, options, &seen).map_err(|error| format!("(dynamic): parse: {error}"))?;
        template.render(&seen).map_err(|error| format!("(dynamic): execute: {error}"))
    }
}

/// The renderer of a client.
pub type SharedRenderer = Arc<dyn Renderer>;

/// Why a template could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    #[error("Template failed: {0}")]
    Render(String),
    #[error("Template failed: destination \"{0}\" escapes the task directory")]
    Escape(String),
    #[error("Template failed: read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("Template failed: write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("Template failed: perms \"{0}\" is not an octal number")]
    Permissions(String),
}

/// A path of the job beneath the task's directory: `local/…` as it is, and `/local/…`, `/alloc/…` as the task may see them.
fn beneath(task_dir: &Path, shared: &Path, path: &str) -> Option<PathBuf> {
    let path = path.trim();
    if let Ok(rest) = Path::new(path).strip_prefix(shared) {
        return plain(rest).map(|rest| shared.join(rest));
    }
    if let Ok(rest) = Path::new(path).strip_prefix(task_dir) {
        return plain(rest).map(|rest| task_dir.join(rest));
    }
    let relative = path.trim_start_matches('/');
    if let Some(rest) = relative.strip_prefix("alloc/") {
        return plain(Path::new(rest)).map(|rest| shared.join(rest));
    }
    plain(Path::new(relative)).map(|rest| task_dir.join(rest))
}

/// The path with `.` and `..` resolved as text; none when it leads out.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !clean.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (!clean.as_os_str().is_empty()).then_some(clean)
}

/// Renders every template of a task. Returns the variables that templates give. A file that holds what it should already is left alone.
pub fn render_all(
    templates: &[Template],
    task_dir: &Path,
    shared: &Path,
    environment: &Environment,
    now: i64,
    renderer: &dyn Renderer,
) -> Result<BTreeMap<String, String>, TemplateError> {
    let mut variables = BTreeMap::new();
    for template in templates {
        let read_file = |path: &str| -> Result<String, String> {
            let place = beneath(task_dir, shared, path).ok_or_else(|| format!("{path} is outside the task directory"))?;
            fs::read_to_string(&place).map_err(|error| format!("read {path}: {error}"))
        };
        let text = if template.embedded_tmpl.is_empty() {
            let source = environment.interpolate(&template.source_path);
            let place = beneath(task_dir, shared, &source).ok_or_else(|| TemplateError::Escape(source.clone()))?;
            fs::read_to_string(&place).map_err(|source| TemplateError::Read { path: place, source })?
        } else {
            template.embedded_tmpl.clone()
        };
        let or = |value: &'static str, given: &str| if given.is_empty() { value.to_owned() } else { given.to_owned() };
        let rendered = renderer
            .render(&RenderRequest {
                text: &text,
                left_delimiter: &or("{{", &template.left_delim),
                right_delimiter: &or("}}", &template.right_delim),
                missing_key_is_error: template.err_missing_key,
                environment,
                now,
                read_file: &read_file,
            })
            .map_err(TemplateError::Render)?;
        write(template, &rendered, task_dir, shared, environment)?;
        if template.envvars {
            variables.extend(parse_variables(&rendered).map_err(TemplateError::Render)?);
        }
    }
    Ok(variables)
}

fn write(template: &Template, rendered: &str, task_dir: &Path, shared: &Path, environment: &Environment) -> Result<(), TemplateError> {
    let destination = environment.interpolate(&template.dest_path);
    let place = beneath(task_dir, shared, &destination).ok_or_else(|| TemplateError::Escape(destination.clone()))?;
    let perms = if template.perms.is_empty() { "0644" } else { &template.perms };
    let mode = u32::from_str_radix(perms, 8).map_err(|_| TemplateError::Permissions(perms.to_owned()))?;
    let failed = |source| TemplateError::Write { path: place.clone(), source };
    // A link that the task made must not lead the agent elsewhere.
    if fs::symlink_metadata(&place).is_ok_and(|found| found.is_symlink()) {
        fs::remove_file(&place).map_err(failed)?;
    }
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
        let inside = |root: &Path| -> bool {
            match (fs::canonicalize(parent), fs::canonicalize(root)) {
                (Ok(parent), Ok(root)) => parent.starts_with(root),
                _ => false,
            }
        };
        if !inside(task_dir) && !inside(shared) {
            return Err(TemplateError::Escape(destination));
        }
    }
    if !fs::read(&place).is_ok_and(|found| found == rendered.as_bytes()) {
        let next = place.with_extension("drover-tmp");
        fs::write(&next, rendered).map_err(failed)?;
        fs::rename(&next, &place).map_err(failed)?;
    }
    fs::set_permissions(&place, fs::Permissions::from_mode(mode)).map_err(failed)?;
    let id = |given: Option<i64>| given.and_then(|id| u32::try_from(id).ok());
    if template.uid.is_some() || template.gid.is_some() {
        std::os::unix::fs::chown(&place, id(template.uid), id(template.gid)).map_err(failed)?;
    }
    Ok(())
}

/// Reads `NAME=value` lines: blank lines and `#` comments are left out, quotes around a value are taken off.
fn parse_variables(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=') else {
            return Err(format!("error parsing env vars: line {}: expected NAME=value, got {line:?}", number + 1));
        };
        let value = value.trim();
        let value = match value.chars().next() {
            Some(quote @ ('"' | '\'')) if value.len() >= 2 && value.ends_with(quote) => &value[1..value.len() - 1],
            _ => value,
        };
        found.push((name.trim().to_owned(), value.to_owned()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str, destination: &str) -> Template {
        Template { embedded_tmpl: text.to_owned(), dest_path: destination.to_owned(), ..Template::default() }
    }

    #[test]
    fn files_are_written_with_their_modes_and_only_when_they_change() {
        let root = tempfile::tempdir().expect("directory");
        let (task, shared) = (root.path().join("t"), root.path().join("alloc"));
        fs::create_dir_all(task.join("local")).expect("directory");
        fs::create_dir_all(&shared).expect("directory");
        let mut conf = template("a\n", "local/sub/conf.txt");
        conf.perms = "640".to_owned();
        let render = |templates: &[Template]| render_all(templates, &task, &shared, &Environment::default(), 0, &GoTemplates);
        render(&[conf.clone()]).expect("render");
        let path = task.join("local/sub/conf.txt");
        let before = fs::metadata(&path).expect("file");
        assert_eq!(before.permissions().mode() & 0o7777, 0o640);
        let inode = std::os::unix::fs::MetadataExt::ino(&before);
        render(&[conf]).expect("render");
        assert_eq!(std::os::unix::fs::MetadataExt::ino(&fs::metadata(&path).expect("file")), inode);
        render(&[template("x", "/alloc/data.txt")]).expect("shared");
        assert!(shared.join("data.txt").exists());
    }

    #[test]
    fn templates_see_the_interfaces_of_the_host() {
        let directory = tempfile::tempdir().unwrap();
        let (task, shared) = (directory.path().join("web"), directory.path().join("alloc"));
        fs::create_dir_all(&task).unwrap();
        fs::create_dir_all(&shared).unwrap();
        let text = template("{{ sockaddr \"GetInterfaceIP \\\"lo\\\"\" }}", "local/address");
        render_all(&[text], &task, &shared, &Environment::default(), 0, &GoTemplates).unwrap();
        assert_eq!(fs::read_to_string(task.join("local/address")).unwrap(), "127.0.0.1");
    }

    #[test]
    fn variables_come_out_of_templates() {
        let root = tempfile::tempdir().expect("directory");
        let mut env = template("# c\n\nA=1\nexport B = \"two words\"\n", "secrets/e.env");
        env.envvars = true;
        let found = render_all(&[env], root.path(), root.path(), &Environment::default(), 0, &GoTemplates).expect("render");
        assert_eq!(found, BTreeMap::from([("A".to_owned(), "1".to_owned()), ("B".to_owned(), "two words".to_owned())]));
        assert!(parse_variables("no").is_err());
    }

    #[test]
    fn actions_see_the_environment_and_the_tasks_files() {
        let root = tempfile::tempdir().expect("directory");
        fs::create_dir(root.path().join("local")).expect("directory");
        fs::write(root.path().join("local/in"), "file").expect("write");
        let text = "{{ env \"MISSING\" }}-{{ file \"local/in\" }}-{{ \"a\" | toUpper }}";
        render_all(&[template(text, "local/out")], root.path(), root.path(), &Environment::default(), 0, &GoTemplates).expect("render");
        assert_eq!(fs::read_to_string(root.path().join("local/out")).expect("read"), "-file-A");
        let bad = template("{{ nosuchfunc }}", "local/out");
        let error = render_all(&[bad], root.path(), root.path(), &Environment::default(), 0, &GoTemplates).expect_err("bad");
        assert!(error.to_string().starts_with("Template failed: (dynamic): parse: "), "{error}");
    }

    #[test]
    fn nothing_is_written_outside() {
        let root = tempfile::tempdir().expect("directory");
        let (task, shared) = (root.path().join("t"), root.path().join("alloc"));
        for directory in [&task, &shared] {
            fs::create_dir_all(directory).expect("directory");
        }
        std::os::unix::fs::symlink("/tmp", task.join("out")).expect("link");
        for destination in ["../x", "local/../../x", "/", "out/x", ""] {
            let result = render_all(&[template("a", destination)], &task, &shared, &Environment::default(), 0, &GoTemplates);
            assert!(matches!(result, Err(TemplateError::Escape(_))), "{destination}: {result:?}");
        }
    }
}
