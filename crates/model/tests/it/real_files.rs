//! Job files of the kind that people keep: they read, become canonical, and survive the log's form unchanged.
