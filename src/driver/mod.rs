//! The hands: turns decisions into doings.

pub mod turn;
