//! Real processes under real shims.

mod shim;
