//! Whether a test's outcome counts as passed; used by `#[proves]`.

/// An outcome of a test function.
pub trait Outcome {
    /// Whether the test passed.
    fn passed(&self) -> bool;
}

impl Outcome for () {
    fn passed(&self) -> bool {
        true
    }
}

impl<T, E> Outcome for Result<T, E> {
    fn passed(&self) -> bool {
        self.is_ok()
    }
}

/// Whether `outcome` counts as passed.
pub fn passed(outcome: &impl Outcome) -> bool {
    outcome.passed()
}
