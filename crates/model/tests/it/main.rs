//! Whole ways through several modules: job files to the domain, its binary form, and back.

mod ledger;
mod real_files;
