//! HCL2: the configuration language of job files.
//!
//! [`parse`] turns text into a syntax tree, [`eval`] expressions into values of [`value`], [`vars`] input variables and
//! locals into the scope that a job is read in. Nothing here knows what a job is.

pub mod ast;
mod bcrypt;
pub mod eval;
pub mod format;
pub mod functions;
pub mod json;
pub mod number;
pub mod parse;
mod template;
pub mod value;
pub mod vars;
