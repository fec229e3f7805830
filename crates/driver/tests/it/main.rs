//! Real processes under real shims.

mod drivers;
mod shim;
