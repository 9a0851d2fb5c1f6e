//! Nights small enough to be told by hand.

use super::*;
use crate::core::Stage;
