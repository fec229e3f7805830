//! Whole ways through several modules: job files to the domain, its binary form, and back.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its files has to fail")]

mod ledger;
mod real_files;
