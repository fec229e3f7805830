//! Programs that measure: what one costs, against what, and on what.
