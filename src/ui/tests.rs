//! What the view looks like and what its keys do.

use super::*;
