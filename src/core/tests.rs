//! Scenarios of the pure core.
