//! The mistakes that the simulation must find (`scripts/mutants`) are mistakes in the source as it stands: each patch of
//! `tests/mutants` applies, in one place.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::fs;
use std::path::Path;

/// The lines that a hunk finds, and those that it leaves.
fn hunks(patch: &str) -> Vec<(Vec<&str>, Vec<&str>)> {
    let mut hunks: Vec<(Vec<&str>, Vec<&str>)> = Vec::new();
    for line in patch.lines().skip_while(|line| !line.starts_with("@@")) {
        if line.starts_with("@@") {
            hunks.push((Vec::new(), Vec::new()));
            continue;
        }
        let (found, left) = hunks.last_mut().unwrap();
        let text = line.get(1..).unwrap_or_default();
        if !line.starts_with('+') {
            found.push(text);
        }
        if !line.starts_with('-') {
            left.push(text);
        }
    }
    hunks
}

#[test]
fn each_mistake_can_be_made_in_one_place() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut broken = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(root.join("tests/mutants")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let patch = fs::read_to_string(&path).unwrap();
        let file = patch.lines().find_map(|line| line.strip_prefix("+++ b/"));
        let source = fs::read_to_string(root.join(file.unwrap())).unwrap();
        let source: Vec<&str> = source.lines().collect();
        for (found, left) in hunks(&patch) {
            let places = source.windows(found.len()).filter(|lines| *lines == found);
            match places.count() {
                1 if found != left => {}
                1 => broken.push(format!("{name} changes nothing")),
                places => broken.push(format!("{name} finds {places} places, not one")),
            }
        }
        count += 1;
    }
    assert!(count > 30, "only {count} patches");
    broken.sort();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
