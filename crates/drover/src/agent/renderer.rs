//! Task templates: the template language over the task's own variables and files.

use drover_client::template::{RenderRequest, Renderer};
use drover_lang::gotmpl::{Data, DataError, Options, RenderError, Template};
use drover_rt::Clock;

/// Renders with the task's environment and the files beneath its directory.
pub(crate) struct TemplateRenderer {
    pub(crate) clock: Clock,
}

struct TaskData<'a> {
    request: &'a RenderRequest<'a>,
    now: i64,
}

impl Data for TaskData<'_> {
    fn environment(&self, name: &str) -> Option<String> {
        self.request.environment.look_up(name).map(str::to_owned)
    }

    fn file(&self, path: &str) -> Result<String, DataError> {
        (self.request.read_file)(path).map_err(DataError::Failed)
    }

    fn now(&self) -> i64 {
        self.now
    }
}

impl Renderer for TemplateRenderer {
    fn render(&self, request: &RenderRequest<'_>) -> Result<String, String> {
        let options = Options {
            left_delimiter: request.left_delimiter.to_owned(),
            right_delimiter: request.right_delimiter.to_owned(),
            error_on_missing_key: request.missing_key_is_error,
            ..Options::default()
        };
        let data = TaskData { request, now: self.clock.now().seconds() };
        let template = Template::parse(request.text, options, &data).map_err(|error| error.to_string())?;
        template.render(&data).map_err(|error| match error {
            RenderError::Waits(what) => format!("{what} is not available in this version of Drover"),
            RenderError::Failed { .. } => error.to_string(),
        })
    }
}
