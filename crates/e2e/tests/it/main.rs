//! One binary for all end-to-end tests.

mod crash;
mod first_steps;
mod hostile;
mod programs;
