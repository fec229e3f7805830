//! Cron expressions against recorded times.
