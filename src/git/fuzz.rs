//! What must hold of what git prints and of what agents leave in git's files, whatever that is.

use super::{landed, lend, loan, merge, radar, sealed, sides, tripwire};
use crate::model::acts;
use std::fs;

/// Every parser of the room that reads bytes takes them all without a panic, and what it says of them was in them.
pub(crate) fn fuzz(data: &[u8]) {
    let fields = || data.split(|byte| *byte == 0);
    for side in merge::unmerged(fields()) {
        assert!((1..=3).contains(&side.stage));
        assert!(fields().any(|field| field.ends_with(&side.path)));
    }
    for entry in fields() {
        if let Some((path, _)) = tripwire::parsed(entry) {
            assert!(entry.ends_with(path));
        }
    }
    for (name, oid) in loan::parse_packed(data) {
        assert!(git2::Reference::is_valid_name(&name));
        assert!(matches!(oid.as_str().len(), 40 | 64));
    }
    for pairs in [1, 3] {
        if let Some(found) = radar::answers(data, pairs) {
            assert_eq!(found.len(), pairs);
            assert!(
                found
                    .iter()
                    .flatten()
                    .flatten()
                    .all(|path| !path.is_empty())
            );
        }
    }
    if let Some(feature) = landed::feature_of(data) {
        assert!(!feature.chars().any(acts), "{feature:?}");
    }
    let lines: Vec<&[u8]> = sides::markers(data).collect();
    assert!(lines.iter().all(|line| b"<|>".contains(&line[0])));
    if let Some(without) = lend::without_password(data) {
        assert!(without.len() < data.len(), "something was taken out");
        let again = lend::without_password(&without);
        assert!(again.is_none_or(|again| again.len() < without.len()));
    }
    setting(data);
}

/// A setting that is written is read back as it was, by libgit2.
fn setting(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let (Some(subsection), Some(value)) = (parts.next(), parts.next()) else {
        return;
    };
    // What git could not have listed: it ends texts with a zero.
    let (Ok(name), Ok(value)) = (std::str::from_utf8(subsection), std::str::from_utf8(value))
    else {
        return;
    };
    if data.contains(&0) || data.len() > 4096 {
        return;
    }
    let key = match name {
        "" => "section.name".to_owned(),
        name => format!("section.{name}.name"),
    };
    let text = sealed::as_file(&[(key.clone().into_bytes(), Some(value.as_bytes().to_vec()))]);
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(file.path(), text).expect("it can be written");
    let config = git2::Config::open(file.path()).expect("git reads it");
    let mut read = None;
    let entries = config.entries(None).expect("entries");
    let all = entries.for_each(|entry| {
        let value = entry.value_bytes().to_vec();
        read = Some((entry.name_bytes().to_vec(), value));
    });
    all.expect("each of them");
    assert_eq!(read, Some((key.into_bytes(), value.as_bytes().to_vec())));
}
