//! What must hold of a journal, whatever stands in the file.

use super::line;
use super::read::{Contents, read_from};
use std::io::Cursor;
use std::path::Path;

fn read(text: &[u8]) -> Option<Contents> {
    read_from(Cursor::new(text), Path::new("journal.jsonl")).ok()
}

/// Only whole, sealed lines become records; written again they are the same; a byte more, less or other never gives a
/// record that was not there.
pub(crate) fn fuzz(data: &[u8]) {
    let Some((&choice, bytes)) = data.split_first() else {
        return;
    };
    // Few bytes get past the seal by chance: every other case is sealed, a line a record.
    let text = match choice % 2 {
        0 => bytes.to_vec(),
        _ => {
            let lines = bytes.split(|byte| *byte == b'\n');
            lines.flat_map(line::sealed).collect()
        }
    };
    let Some(contents) = read(&text) else {
        return;
    };
    let torn = usize::try_from(contents.torn_bytes).expect("a length");
    let whole = &text[..text.len() - torn];
    let mut lines = whole.split_inclusive(|byte| *byte == b'\n');
    for record in &contents.records {
        let line = lines.next().expect("a line for each record");
        assert!(line::is_intact(line), "a record that nobody sealed");
        let alone = line::parse(line).expect("it was read before");
        assert_eq!(alone.record, *record);
    }
    assert_eq!(lines.next(), None, "a line that is neither record nor torn");
    let mut again = Vec::new();
    for record in &contents.records {
        line::write(&mut again, record, record.seq);
    }
    let reread = read(&again).expect("what harness writes, it reads");
    assert_eq!(
        (reread.records, reread.torn_bytes),
        (contents.records.clone(), 0)
    );
    disturb(&mut again, usize::from(choice), bytes);
    if let Some(less) = read(&again) {
        assert!(
            contents.records.starts_with(&less.records),
            "records from nowhere"
        );
    }
}

/// Cuts the text, or changes one byte of it.
fn disturb(text: &mut Vec<u8>, choice: usize, seed: &[u8]) {
    if text.is_empty() {
        return;
    }
    let sum = seed.iter().fold(choice, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(usize::from(*byte))
    });
    let at = sum % text.len();
    if sum & 0x100 == 0 {
        text.truncate(at);
    } else {
        text[at] ^= 1 << (choice % 8);
    }
}
