//! What each traced call did to the disk below one directory.
//!
//! It knows how `strace` writes calls, and never what a file is for. A call that changes files and that it does not know
//! stops the test.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::allow_attributes,
    reason = "each test file includes this one and uses its part"
)]

use super::disk::{Change, Disk, Id, Name, Node, Place, Reach, Sync, What};
use super::trace::{self, Call};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// What `strace` is asked for: all that changes files, makes changes last, or says what a name means.
pub const CALLS: &str = "trace=open,openat,creat,write,pwrite64,writev,pwritev,lseek,rename,renameat,renameat2,link,linkat,\
                         unlink,unlinkat,rmdir,mkdir,mkdirat,symlink,symlinkat,truncate,ftruncate,chmod,fchmod,fchmodat,\
                         fsync,fdatasync,sync,syncfs,sync_file_range,copy_file_range,sendfile,fallocate,\
                         chdir,fchdir,clone,clone3,fork,vfork";
/// Longer writes than this would be cut short in the trace.
pub const LONGEST: &str = "4194304";

/// Where writes go to a file that is open for appending.
const AT_THE_END: usize = usize::MAX;

/// One argument of a call.
struct Argument<'a>(&'a str);

impl Argument<'_> {
    /// Open file: the path that `-y` shows.
    fn path(&self) -> Option<PathBuf> {
        let (_, rest) = self.0.split_once('<')?;
        let rest = rest.strip_suffix('>').or(rest.strip_suffix(">(deleted)"))?;
        rest.starts_with('/')
            .then(|| OsString::from_vec(unescaped(rest)).into())
    }

    /// Text between quotes, and whatever else stands around it.
    fn bytes(&self) -> Vec<u8> {
        let inner = self.0.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
        let inner = inner.unwrap_or_else(|| panic!("not all of it is in the trace: {}", self.0));
        unescaped(inner)
    }

    fn number(&self) -> usize {
        self.0.parse().unwrap_or_else(|_| panic!("{}", self.0))
    }
}

/// Resolves what strace escapes as C does.
fn unescaped(text: &str) -> Vec<u8> {
    let mut made = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'\\' {
            made.push(*first);
            continue;
        }
        let digits = rest
            .iter()
            .take(3)
            .take_while(|byte| (b'0'..=b'7').contains(*byte));
        let digits = digits.count();
        if digits > 0 {
            let code = std::str::from_utf8(&rest[..digits]).unwrap();
            made.push(u8::from_str_radix(code, 8).unwrap());
            rest = &rest[digits..];
            continue;
        }
        made.push(match rest[0] {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'v' => 11,
            b'f' => 12,
            other => other,
        });
        rest = &rest[1..];
    }
    made
}

/// Splits at the commas that are in no text, path or list.
fn arguments(text: &str) -> Vec<Argument<'_>> {
    let (mut all, mut begin, mut depth, mut quoted, mut escaped) = (Vec::new(), 0, 0, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'<' | b'[' | b'{' => depth += 1,
            b'>' | b']' | b'}' => depth -= 1,
            b',' if depth == 0 => {
                all.push(Argument(text[begin..at].trim()));
                begin = at + 1;
            }
            _ => {}
        }
    }
    all.push(Argument(text[begin..].trim()));
    all
}

impl Disk {
    /// Takes in what `strace -f -y -qq -s LONGEST -e CALLS` wrote.
    pub fn follow(&mut self, text: &str) {
        for call in &trace::calls(text) {
            self.take_in(call);
        }
    }

    fn take_in(&mut self, call: &Call) {
        let Some((name, rest)) = call.text.split_once('(') else {
            return;
        };
        let Some((rest, result)) = rest.rsplit_once(" = ") else {
            return;
        };
        let result = result.trim();
        if result.starts_with(['-', '?']) {
            return;
        }
        let args = arguments(rest.trim_end().strip_suffix(')').unwrap_or(rest));
        if let Some(cwd) = args.iter().find(|one| one.0.starts_with("AT_FDCWD<")) {
            self.cwd.extend(cwd.path().map(|cwd| (call.pid, cwd)));
        }
        let count = || {
            result
                .split([' ', '<'])
                .next()
                .unwrap()
                .parse()
                .unwrap_or(0)
        };
        match name {
            "open" | "openat" | "creat" => self.open(call, name, &args, result),
            "write" | "pwrite64" | "writev" | "pwritev" => {
                self.write(call, name, &args, count());
            }
            "lseek" => {
                // What is opened for appending is written at its end wherever it is read.
                if let Some(cursor) = self
                    .opened(&args[0])
                    .map(|node| self.cursors.get_mut(&node))
                    && let Some(cursor) = cursor
                    && *cursor != AT_THE_END
                {
                    *cursor = count();
                }
            }
            "fsync" | "fdatasync" | "sync_file_range" | "sync" | "syncfs" => {
                self.sync(call, name, &args);
            }
            "ftruncate" => {
                if let Some(node) = self.opened(&args[0]) {
                    let length = args[1].number();
                    self.change(call, What::Size { node, length });
                }
            }
            "copy_file_range" | "sendfile" => self.copy(call, name, &args, count()),
            "truncate" | "fallocate" | "pwritev2" => {
                let touched = args.iter().any(|one| self.opened(one).is_some());
                assert!(!touched, "the model does not know {}", call.text);
            }
            "chdir" | "fchdir" => {
                let path = args[0].path();
                let path = path.unwrap_or_else(|| self.named(call.pid, None, &args[0]));
                self.cwd.insert(call.pid, path);
            }
            "clone" | "clone3" | "fork" | "vfork" => {
                let child = u32::try_from(count()).unwrap();
                if let Some(cwd) = self.cwd.get(&call.pid).cloned() {
                    self.cwd.entry(child).or_insert(cwd);
                }
            }
            "chmod" | "fchmod" | "fchmodat" => self.set_mode(call, name, &args),
            _ => self.name(call, name, &args),
        }
    }

    fn change(&mut self, call: &Call, what: What) {
        self.now.apply(&what);
        self.changes.push(Change { at: call.end, what });
    }

    /// The node of an open file, if it has a name here.
    fn opened(&self, arg: &Argument<'_>) -> Option<Id> {
        if arg.0.ends_with("(deleted)") {
            return None;
        }
        self.resolve(&arg.path()?, false)?.node
    }

    fn named(&self, pid: u32, dir: Option<&Argument<'_>>, arg: &Argument<'_>) -> PathBuf {
        let path = PathBuf::from(OsString::from_vec(arg.bytes()));
        if path.is_absolute() {
            return path;
        }
        let dir = dir.and_then(Argument::path);
        let dir = dir.or_else(|| self.cwd.get(&pid).cloned());
        let dir = dir.unwrap_or_else(|| panic!("nobody knows where {pid} is"));
        dir.join(path)
    }

    fn open(&mut self, call: &Call, name: &str, args: &[Argument<'_>], result: &str) {
        let flags = args[if name == "openat" { 2 } else { 1 }].0;
        let is_for_writing = flags.contains("O_WRONLY") || flags.contains("O_RDWR");
        if !(is_for_writing || flags.contains("O_CREAT") || name == "creat") {
            return;
        }
        let Some(path) = Argument(result).path() else {
            return;
        };
        let Some(place) = self.resolve(&path, false) else {
            return;
        };
        let node = match place.node {
            Some(node) => node,
            None if flags.contains("O_TMPFILE") || result.ends_with("(deleted)") => return,
            None => {
                assert!(flags.contains("O_CREAT"), "nobody made {}", path.display());
                let mode = u32::from_str_radix(args.last().unwrap().0, 8).unwrap() & 0o755;
                let bytes = Vec::new();
                self.make(call, (place.dir, place.name), Node::File { bytes, mode })
            }
        };
        let Node::File { bytes, .. } = &self.now.0[node] else {
            return;
        };
        let length = bytes.len();
        let is_append = flags.contains("O_APPEND");
        self.cursors
            .insert(node, if is_append { AT_THE_END } else { 0 });
        if flags.contains("O_TRUNC") && length > 0 {
            self.change(call, What::Size { node, length: 0 });
        }
    }

    fn make(&mut self, call: &Call, name: Name, node: Node) -> Id {
        let id = self.now.0.len();
        self.now.0.push(node);
        let (lost, got, node) = (None, Some(name), id);
        self.change(call, What::Named { node, lost, got });
        id
    }

    fn write(&mut self, call: &Call, name: &str, args: &[Argument<'_>], count: usize) {
        let Some(node) = self.opened(&args[0]) else {
            return;
        };
        let mut bytes = if name == "writev" || name == "pwritev" {
            let parts = args[1].0.trim_start_matches('[').trim_end_matches(']');
            let parts = arguments(parts).into_iter().flat_map(|part| {
                let inner = part.0.trim_start_matches('{').trim_end_matches('}');
                let base = arguments(inner)[0].0.strip_prefix("iov_base=").unwrap();
                Argument(base).bytes()
            });
            parts.collect()
        } else {
            args[1].bytes()
        };
        bytes.truncate(count);
        let offset = match name {
            "pwrite64" | "pwritev" => Some(args[3].number()),
            _ => None,
        };
        self.put(call, node, offset, bytes);
    }

    /// Writes somewhere, or where the last write ended.
    fn put(&mut self, call: &Call, node: Id, at: Option<usize>, bytes: Vec<u8>) {
        let Node::File { bytes: held, .. } = &self.now.0[node] else {
            return;
        };
        let end = held.len();
        let cursor = self.cursors.get(&node).copied().unwrap_or(AT_THE_END);
        let offset = at.unwrap_or(if cursor == AT_THE_END { end } else { cursor });
        if at.is_none() && cursor != AT_THE_END {
            self.cursors.insert(node, offset + bytes.len());
        }
        self.change(
            call,
            What::Bytes {
                node,
                offset,
                bytes,
            },
        );
    }

    fn copy(&mut self, call: &Call, name: &str, args: &[Argument<'_>], count: usize) {
        let (from, to, offset) = match name {
            "sendfile" => (&args[1], &args[0], &args[2]),
            _ => (&args[0], &args[2], &args[1]),
        };
        let Some(to) = self.opened(to) else { return };
        assert_eq!(offset.0, "NULL", "the model does not know {}", call.text);
        let from = from.path().unwrap();
        // All of it at once: a file that is copied is not written meanwhile.
        let held = match self.resolve(&from, false).and_then(|place| place.node) {
            Some(node) => match &self.now.0[node] {
                Node::File { bytes, .. } => bytes.clone(),
                _ => panic!("{} is no file", from.display()),
            },
            None => fs::read(&from).unwrap(),
        };
        let done = match &self.now.0[to] {
            Node::File { bytes, .. } => bytes.len(),
            _ => return,
        };
        self.put(call, to, None, held[done..done + count].to_vec());
    }

    fn sync(&mut self, call: &Call, name: &str, args: &[Argument<'_>]) {
        let reach = match name {
            "sync" | "syncfs" => Some(Reach::Everything),
            "sync_file_range" => self.opened(&args[0]).map(Reach::Flushed),
            _ => self.opened(&args[0]).map(Reach::Node),
        };
        self.syncs.extend(reach.map(|reach| Sync {
            pid: call.pid,
            begin: call.begin,
            end: call.end,
            reach,
        }));
    }

    fn set_mode(&mut self, call: &Call, name: &str, args: &[Argument<'_>]) {
        let (node, at) = match name {
            "fchmod" => (self.opened(&args[0]), 1),
            "chmod" => (self.place(call.pid, None, &args[0]).and_then(|p| p.node), 1),
            _ => (
                self.place(call.pid, Some(&args[0]), &args[1])
                    .and_then(|p| p.node),
                2,
            ),
        };
        let new = u32::from_str_radix(args[at].0, 8).unwrap() & 0o777;
        if let Some(Node::File { mode, .. }) = node.map(|node| &mut self.now.0[node]) {
            *mode = new;
        }
    }

    fn place(&self, pid: u32, dir: Option<&Argument<'_>>, arg: &Argument<'_>) -> Option<Place> {
        self.resolve(&self.named(pid, dir, arg), false)
    }

    /// What is done with names.
    fn name(&mut self, call: &Call, name: &str, args: &[Argument<'_>]) {
        let is_at = name.ends_with("at") || name.ends_with("at2");
        let nth = |disk: &Self, n: usize| match is_at {
            true => disk.place(call.pid, Some(&args[2 * n]), &args[2 * n + 1]),
            false => disk.place(call.pid, None, &args[n]),
        };
        match name {
            "mkdir" | "mkdirat" => {
                if let Some(place) = nth(self, 0) {
                    let names = BTreeMap::new();
                    self.make(call, (place.dir, place.name), Node::Dir { names });
                }
            }
            "symlink" | "symlinkat" => {
                let to = OsString::from_vec(args[0].bytes()).into();
                let dir = is_at.then(|| &args[1]);
                if let Some(place) = self.place(call.pid, dir, args.last().unwrap()) {
                    self.make(call, (place.dir, place.name), Node::Link { to });
                }
            }
            "unlink" | "unlinkat" | "rmdir" => {
                if let Some(place) = nth(self, 0) {
                    let node = place.node.unwrap_or_else(|| panic!("{}", call.text));
                    let (lost, got) = (Some((place.dir, place.name)), None);
                    self.change(call, What::Named { node, lost, got });
                }
            }
            "rename" | "renameat" | "renameat2" | "link" | "linkat" => {
                let (Some(from), Some(to)) = (nth(self, 0), nth(self, 1)) else {
                    return;
                };
                let node = from.node.unwrap_or_else(|| panic!("{}", call.text));
                // Two names of the same file: nothing happens.
                if to.node == Some(node) {
                    return;
                }
                let lost = name.starts_with("rename").then_some((from.dir, from.name));
                let got = Some((to.dir, to.name));
                self.change(call, What::Named { node, lost, got });
            }
            _ => {}
        }
    }
}
