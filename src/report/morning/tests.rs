//! Small nights, read in each format.
