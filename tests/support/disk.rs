//! A model of the disk below one directory: what a traced run did to the files there, call by call, and which calls made
//! which of it last.
//!
//! It knows files, directories and links by what they are, not by their names, as a file system does; never what they
//! are for. `Disk::assert_is_what_is_there` proves that it has understood the trace.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::allow_attributes,
    reason = "each test file includes this one and uses its part"
)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};

/// A file, directory or link, whatever its names.
pub type Id = usize;

#[derive(Clone, PartialEq, Eq)]
pub enum Node {
    File { bytes: Vec<u8>, mode: u32 },
    Dir { names: BTreeMap<OsString, Id> },
    Link { to: PathBuf },
}

/// A name in a directory.
pub type Name = (Id, OsString);

/// One thing that was done.
#[derive(Clone)]
pub enum What {
    /// A node got a name, lost one, or both at once.
    Named {
        node: Id,
        lost: Option<Name>,
        got: Option<Name>,
    },
    Bytes {
        node: Id,
        offset: usize,
        bytes: Vec<u8>,
    },
    Size {
        node: Id,
        length: usize,
    },
}

/// One thing that was done, and the line of the trace on which it was.
pub struct Change {
    pub at: usize,
    pub what: What,
}

/// How much a call made last.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// A file or directory.
    Node(Id),
    /// What a file holds was given to the disk; the next sync of the same process stores it.
    Flushed(Id),
    Everything,
}

pub struct Sync {
    pub pid: u32,
    pub begin: usize,
    pub end: usize,
    pub reach: Reach,
}

/// All nodes; the first is the directory itself.
#[derive(Clone)]
pub struct Tree(pub Vec<Node>);

/// What happened below one directory.
pub struct Disk {
    root: PathBuf,
    /// As it was before. All of that is on the disk.
    first: Tree,
    pub now: Tree,
    pub changes: Vec<Change>,
    pub syncs: Vec<Sync>,
    /// Where each process is.
    pub cwd: BTreeMap<u32, PathBuf>,
    /// Where the next write to a file goes.
    pub cursors: BTreeMap<Id, usize>,
}

impl Tree {
    pub fn scan(root: &Path) -> Self {
        let mut tree = Self(Vec::new());
        tree.take_in(root, &mut BTreeMap::new());
        tree
    }

    fn take_in(&mut self, path: &Path, known: &mut BTreeMap<u64, Id>) -> Id {
        let meta = fs::symlink_metadata(path).unwrap();
        if let Some(id) = known.get(&meta.ino()) {
            return *id;
        }
        let id = self.0.len();
        known.insert(meta.ino(), id);
        if meta.is_symlink() {
            let to = fs::read_link(path).unwrap();
            self.0.push(Node::Link { to });
        } else if meta.is_file() {
            let (bytes, mode) = (fs::read(path).unwrap(), meta.mode() & 0o777);
            self.0.push(Node::File { bytes, mode });
        } else if meta.is_dir() {
            let mut names = BTreeMap::new();
            self.0.push(Node::Dir {
                names: BTreeMap::new(),
            });
            for entry in fs::read_dir(path).unwrap() {
                let entry = entry.unwrap();
                names.insert(entry.file_name(), self.take_in(&entry.path(), known));
            }
            self.0[id] = Node::Dir { names };
        } else {
            // A socket or a pipe: nothing of it is on the disk but its name.
            let (bytes, mode) = (Vec::new(), 0o600);
            self.0.push(Node::File { bytes, mode });
        }
        id
    }

    fn names(&self, dir: Id) -> Option<&BTreeMap<OsString, Id>> {
        match &self.0[dir] {
            Node::Dir { names } => Some(names),
            _ => None,
        }
    }

    pub fn apply(&mut self, what: &What) {
        match what {
            What::Named { node, lost, got } => {
                for (name, is_got) in [(lost, false), (got, true)] {
                    let Some((dir, name)) = name else { continue };
                    let Node::Dir { names } = &mut self.0[*dir] else {
                        panic!("names are in directories");
                    };
                    if is_got {
                        names.insert(name.clone(), *node);
                    } else if names.get(name) == Some(node) {
                        names.remove(name);
                    }
                }
            }
            What::Bytes {
                node,
                offset,
                bytes: new,
            } => {
                if let Node::File { bytes, .. } = &mut self.0[*node] {
                    let end = offset + new.len();
                    bytes.resize(bytes.len().max(end), 0);
                    bytes[*offset..end].copy_from_slice(new);
                }
            }
            What::Size { node, length } => {
                if let Node::File { bytes, .. } = &mut self.0[*node] {
                    bytes.resize(*length, 0);
                }
            }
        }
    }

    /// All that can be reached, by its path below the directory.
    pub fn all(&self) -> BTreeMap<PathBuf, &Node> {
        let mut all = BTreeMap::new();
        let mut open = vec![(PathBuf::new(), 0)];
        while let Some((path, id)) = open.pop() {
            for (name, id) in self.names(id).into_iter().flatten() {
                open.push((path.join(name), *id));
            }
            all.insert(path, &self.0[id]);
        }
        all
    }

    /// Makes it so below a directory, with these words for those wherever they stand in a file or link.
    pub fn lay_out(&self, root: &Path, words: &[(&[u8], &[u8])]) {
        let moved = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            for (from, to) in words {
                let mut at = 0;
                while let Some(next) = bytes[at..].windows(from.len()).position(|w| w == *from) {
                    at += next;
                    bytes.splice(at..at + from.len(), to.iter().copied());
                    at += to.len();
                }
            }
            bytes
        };
        for (path, node) in self.all() {
            let path = root.join(path);
            match node {
                Node::Dir { .. } => fs::create_dir_all(&path).unwrap(),
                Node::Link { to } => {
                    let to = OsString::from_vec(moved(to.as_os_str().as_bytes()));
                    symlink(to, &path).unwrap();
                }
                Node::File { bytes, mode } => {
                    fs::write(&path, moved(bytes)).unwrap();
                    fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
                }
            }
        }
    }
}

/// Where a path leads: the directory, the name in it, and what has that name.
pub struct Place {
    pub dir: Id,
    pub name: OsString,
    pub node: Option<Id>,
}

impl Disk {
    /// A disk on which all that is there now is stored.
    pub fn new(root: &Path) -> Self {
        let first = Tree::scan(root);
        Self {
            root: root.to_owned(),
            now: first.clone(),
            first,
            changes: Vec::new(),
            syncs: Vec::new(),
            cwd: BTreeMap::new(),
            cursors: BTreeMap::new(),
        }
    }

    /// As it was before, with room for all that came later.
    pub fn beginning(&self) -> Tree {
        let mut tree = self.first.clone();
        for node in &self.now.0[tree.0.len()..] {
            tree.0.push(match node {
                Node::File { mode, .. } => Node::File {
                    bytes: Vec::new(),
                    mode: *mode,
                },
                Node::Dir { .. } => Node::Dir {
                    names: BTreeMap::new(),
                },
                Node::Link { to } => Node::Link { to: to.clone() },
            });
        }
        tree
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What has this path now.
    pub fn find(&self, path: &Path) -> Option<Id> {
        self.resolve(&self.root.join(path), true)?.node
    }

    /// All directories below a path that ever were, by what they are.
    pub fn dirs_below(&self, path: &Path) -> Vec<Id> {
        let mut found: Vec<Id> = self.find(path).into_iter().collect();
        let mut at = 0;
        while at < found.len() {
            let dir = found[at];
            let names = self.now.names(dir).into_iter().flatten().map(|(_, id)| *id);
            let later = self.changes.iter().filter_map(|change| match &change.what {
                What::Named { node, got, .. } => {
                    (got.as_ref().is_some_and(|got| got.0 == dir)).then_some(*node)
                }
                _ => None,
            });
            let more: Vec<Id> = names.chain(later).collect();
            for id in more {
                if self.now.names(id).is_some() && !found.contains(&id) {
                    found.push(id);
                }
            }
            at += 1;
        }
        found
    }

    /// The trace was understood: what it comes to is what is there.
    pub fn assert_is_what_is_there(&self, but: &[&Path]) {
        let there = Tree::scan(&self.root);
        let (there, model) = (there.all(), self.now.all());
        let is_meant = |path: &&PathBuf| !but.iter().any(|but| path.starts_with(but));
        let only = |of: &BTreeMap<PathBuf, &Node>, other: &BTreeMap<PathBuf, &Node>| {
            let mut only = Vec::new();
            for (path, node) in of.iter().filter(|(path, _)| is_meant(path)) {
                let is_same = match (node, other.get(path)) {
                    (Node::Dir { .. }, Some(Node::Dir { .. })) => true,
                    (Node::File { bytes: one, .. }, Some(Node::File { bytes: other, .. })) => {
                        one == other
                    }
                    (node, Some(other)) => node == other,
                    _ => false,
                };
                if !is_same {
                    only.push(path.clone());
                }
            }
            only
        };
        let nothing = Vec::<PathBuf>::new();
        assert_eq!(only(&there, &model), nothing, "on the disk");
        assert_eq!(only(&model, &there), nothing, "in the model");
    }

    pub fn resolve(&self, path: &Path, follow: bool) -> Option<Place> {
        let mut path = path.to_owned();
        for _ in 0..20 {
            match self.step_down(&path, follow) {
                Ok(place) => return place,
                Err(leads_on) => path = leads_on,
            }
        }
        panic!("{} goes round in circles", path.display());
    }

    /// Where a path leads, or the path that a link on it makes of it.
    fn step_down(&self, path: &Path, follow: bool) -> Result<Option<Place>, PathBuf> {
        let Ok(below) = path.strip_prefix(&self.root) else {
            return Ok(None);
        };
        let mut above: Vec<(Id, OsString)> = Vec::new();
        let mut here = 0;
        let mut parts = below.components().peekable();
        while let Some(part) = parts.next() {
            let name = match part {
                Component::Normal(name) => name,
                Component::ParentDir => {
                    let Some((dir, _)) = above.pop() else {
                        return Ok(None);
                    };
                    here = dir;
                    continue;
                }
                _ => continue,
            };
            let node = self.now.names(here).and_then(|names| names.get(name));
            let is_last = parts.peek().is_none();
            match node.map(|id| (*id, &self.now.0[*id])) {
                Some((_, Node::Link { to })) if follow || !is_last => {
                    let names = above.iter().map(|(_, name)| name);
                    let dir = names.fold(self.root.clone(), |path, name| path.join(name));
                    return Err(dir.join(to).join(parts.collect::<PathBuf>()));
                }
                Some((id, _)) if !is_last => {
                    above.push((here, name.to_owned()));
                    here = id;
                }
                found => {
                    return Ok(Some(Place {
                        dir: here,
                        name: name.to_owned(),
                        node: found.map(|(id, _)| id),
                    }));
                }
            }
        }
        let name = OsString::from(".");
        let (dir, node) = (here, Some(here));
        Ok(Some(Place { dir, name, node }))
    }
}
