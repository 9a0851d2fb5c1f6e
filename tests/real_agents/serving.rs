//! The model itself: what it answers through each interface, what it counts, and how it fails.
