//! Who sat where: spans of time laid into as few lanes as hold them without overlap.
//!
//! Knows nothing of what fills the time.

use crate::model::Stamp;

/// One lane: positions in the list that was laid out, in the order of time.
pub type Lane = Vec<usize>;

/// Lays spans of time into lanes, first come first served; each gets the first lane that is free. `spans` must be in
/// the order in which they begin. A span that follows `stays_with` keeps that one's lane.
#[must_use]
pub fn lanes(spans: &[(Stamp, Stamp)], stays_with: impl Fn(usize) -> Option<usize>) -> Vec<Lane> {
    let mut lanes: Vec<Lane> = Vec::new();
    let mut until: Vec<Stamp> = Vec::new();
    let mut lane_of: Vec<usize> = Vec::with_capacity(spans.len());
    for (n, (from, to)) in spans.iter().enumerate() {
        let kept = stays_with(n).and_then(|before| lane_of.get(before).copied());
        let free = || until.iter().position(|end| end <= from);
        let lane = kept
            .filter(|lane| until[*lane] <= *from)
            .or_else(free)
            .unwrap_or(lanes.len());
        if lane == lanes.len() {
            lanes.push(Vec::new());
            until.push(*to);
        }
        lanes[lane].push(n);
        until[lane] = until[lane].max(*to);
        lane_of.push(lane);
    }
    lanes
}
