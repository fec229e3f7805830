//! Where output goes: results and progress to standard output, errors, warnings and hints to standard error.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// The two output streams and the input. Clones share them, so that several monitors may print.
#[derive(Clone)]
pub struct Ui {
    inner: Arc<Mutex<Inner>>,
    colours: bool,
}

struct Inner {
    out: Box<dyn Write + Send>,
    error: Box<dyn Write + Send>,
    input: Box<dyn io::Read + Send>,
}

impl Ui {
    /// The process's own streams.
    pub fn system(colours: bool) -> Self {
        Self::new(Box::new(io::stdout()), Box::new(io::stderr()), Box::new(io::stdin()), colours)
    }

    /// Any streams.
    pub fn new(out: Box<dyn Write + Send>, error: Box<dyn Write + Send>, input: Box<dyn io::Read + Send>, colours: bool) -> Self {
        Self { inner: Arc::new(Mutex::new(Inner { out, error, input })), colours }
    }

    /// The same streams with or without colours.
    #[must_use]
    pub fn with_colours(mut self, colours: bool) -> Self {
        self.colours = colours;
        self
    }

    /// Whether output is coloured.
    pub fn colours(&self) -> bool {
        self.colours
    }

    fn write(&self, to_error: bool, text: &[u8]) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let stream = if to_error { &mut inner.error } else { &mut inner.out };
        // A closed pipe ends the process through its own signal or exit code; there is nobody left to tell.
        let _ = stream.write_all(text).and_then(|()| stream.flush());
    }

    /// A line (or several) of result.
    pub fn output(&self, text: impl AsRef<str>) {
        self.write(false, format!("{}\n", text.as_ref()).as_bytes());
    }

    /// Bytes as they are.
    pub fn raw(&self, bytes: &[u8]) {
        self.write(false, bytes);
    }

    /// Bytes as they are, to standard error.
    pub fn raw_error(&self, bytes: &[u8]) {
        self.write(true, bytes);
    }

    /// A line on standard error.
    pub fn error(&self, text: impl AsRef<str>) {
        self.write(true, format!("{}\n", self.paint(Paint::Red, text.as_ref())).as_bytes());
    }

    /// A warning on standard error.
    pub fn warn(&self, text: impl AsRef<str>) {
        self.write(true, format!("{}\n", self.paint(Paint::Yellow, text.as_ref())).as_bytes());
    }

    /// A line on standard error without colour.
    pub fn note(&self, text: impl AsRef<str>) {
        self.write(true, format!("{}\n", text.as_ref()).as_bytes());
    }

    /// A title, bold.
    pub fn title(&self, text: impl AsRef<str>) -> String {
        self.paint(Paint::Bold, text.as_ref())
    }

    /// Text in a colour, if colours are on.
    pub fn paint(&self, paint: Paint, text: &str) -> String {
        if self.colours && !text.is_empty() { format!("\x1b[{}m{text}\x1b[0m", paint.code()) } else { text.to_owned() }
    }

    /// Asks and reads one line; `None` at the end of the input.
    ///
    /// # Errors
    /// When the input cannot be read.
    pub fn ask(&self, question: &str) -> io::Result<Option<String>> {
        self.raw(format!("{question} ").as_bytes());
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut line = Vec::new();
        let mut byte = [0];
        while line.len() < LINE_MAX {
            if inner.input.read(&mut byte)? == 0 {
                if line.is_empty() {
                    return Ok(None);
                }
                break;
            }
            if byte[0] == b'\n' {
                break;
            }
            line.push(byte[0]);
        }
        Ok(Some(String::from_utf8_lossy(&line).trim().to_owned()))
    }

    /// The input itself; from now on there is none here.
    pub fn take_input(&self) -> Box<dyn io::Read + Send> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut inner.input, Box::new(io::empty()))
    }

    /// All of the input, up to a bound.
    ///
    /// # Errors
    /// When the input cannot be read or is larger than `limit`.
    pub fn read_input(&self, limit: usize) -> io::Result<Vec<u8>> {
        use io::Read;
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = Vec::new();
        let read = (&mut inner.input).take(limit as u64 + 1).read_to_end(&mut bytes)?;
        if read > limit { Err(io::Error::new(io::ErrorKind::FileTooLarge, "the input is too large")) } else { Ok(bytes) }
    }
}

/// The longest answer to a question.
const LINE_MAX: usize = 4096;

/// Colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// Bold.
    Bold,
    /// Errors.
    Red,
    /// Success.
    Green,
    /// Warnings.
    Yellow,
    /// Links.
    Blue,
    /// Labels of links.
    Magenta,
    /// In-place updates.
    Cyan,
    /// Canaries and edits.
    LightYellow,
}

impl Paint {
    fn code(self) -> u8 {
        match self {
            Self::Bold => 1,
            Self::Red => 31,
            Self::Green => 32,
            Self::Yellow => 33,
            Self::Blue => 34,
            Self::Magenta => 35,
            Self::Cyan => 36,
            Self::LightYellow => 93,
        }
    }
}

/// Streams held in memory, for tests.
#[derive(Clone, Debug, Default)]
pub struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    /// What was written so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
