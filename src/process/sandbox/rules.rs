//! The policy as rules of Landlock, which the kernel holds a process and all it starts to.
//!
//! A rule allows something at a path and all below, and what no rule allows is refused; so what is to be hidden is left
//! out by allowing everything beside it, one entry of a directory after the other. Rules hold for the files that are
//! there when the job starts: what somebody makes later beside something hidden cannot be read. This file never starts
//! a job; the supervisor calls [`Restriction`].

use super::{Policy, there};
use landlock::{
    ABI, Access as _, AccessFs, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetStatus, Scope,
};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// Without it (before Linux 6.2) a file could be emptied by whoever can read it.
const LEAST: ABI = ABI::V3;
/// What is asked for where the kernel has it: besides files, signals and sockets without a path.
const MOST: ABI = ABI::V6;
/// What programs write that is no file.
const DEVICES: [&str; 9] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/pts",
    "/dev/shm",
];

/// What is allowed at a path and below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Allowed {
    /// To list directories.
    List,
    /// To read and run.
    Read,
    /// Everything.
    Write,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) struct Rule {
    path: PathBuf,
    allowed: Allowed,
}

impl Rule {
    fn new(allowed: Allowed, path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            allowed,
        }
    }

    /// As one argument.
    pub(super) fn encode(&self) -> OsString {
        let sign = match self.allowed {
            Allowed::List => "l",
            Allowed::Read => "r",
            Allowed::Write => "w",
        };
        let mut text = OsString::from(sign);
        text.push(&self.path);
        text
    }

    /// What [`encode`](Self::encode) made.
    pub(in super::super) fn decode(text: &OsStr) -> Option<Self> {
        let (sign, path) = text.as_bytes().split_first()?;
        let allowed = match sign {
            b'l' => Allowed::List,
            b'r' => Allowed::Read,
            b'w' => Allowed::Write,
            _ => return None,
        };
        Some(Self::new(allowed, OsString::from_vec(path.to_vec())))
    }
}

/// The rules that a policy comes to.
pub(super) fn all(policy: &Policy) -> io::Result<Vec<Rule>> {
    let hidden: BTreeSet<PathBuf> = policy.found(&policy.hide).into_iter().collect();
    let root = Path::new("/");
    let mut readable = Vec::new();
    beside(root, &hidden, &mut readable)?;
    let mut rules = vec![Rule::new(Allowed::List, root)];
    rules.extend(
        readable
            .into_iter()
            .map(|path| Rule::new(Allowed::Read, path)),
    );
    for shown in policy.found(&policy.read) {
        let mut deeper = hidden.clone();
        deeper.remove(&shown);
        let mut readable = Vec::new();
        beside(&shown, &deeper, &mut readable)?;
        rules.extend(
            readable
                .into_iter()
                .map(|path| Rule::new(Allowed::Read, path)),
        );
    }
    let write = policy.found(&policy.write).into_iter();
    let write = write.chain(policy.found(&policy.instead));
    let write = write.chain(policy.temporary.as_deref().and_then(there));
    rules.extend(write.map(|path| Rule::new(Allowed::Write, path)));
    let devices = DEVICES.iter().filter_map(|path| there(Path::new(path)));
    rules.extend(devices.map(|path| Rule::new(Allowed::Write, path)));
    rules.sort();
    rules.dedup();
    Ok(rules)
}

/// All below `dir` that is not hidden, in as few paths as it takes.
fn beside(dir: &Path, hidden: &BTreeSet<PathBuf>, found: &mut Vec<PathBuf>) -> io::Result<()> {
    if hidden.contains(dir) {
        return Ok(());
    }
    if !hidden.iter().any(|path| path.starts_with(dir)) {
        found.push(dir.to_owned());
        return Ok(());
    }
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        // What a link leads to has a rule of its own, or none.
        if !entry.file_type()?.is_symlink() {
            beside(&entry.path(), hidden, found)?;
        }
    }
    Ok(())
}

/// Takes every right of root's out of reach of the program that is started next. For others than root there is nothing
/// to take, and the kernel says so.
#[expect(unsafe_code, reason = "there is no safe call for it")]
fn drop_rights() {
    use nix::libc::{PR_CAPBSET_DROP, prctl};
    /// More than there are; the kernel refuses those it does not know.
    const RIGHTS: nix::libc::c_ulong = 64;
    for right in 0..RIGHTS {
        // SAFETY: the call takes numbers only.
        unsafe {
            prctl(PR_CAPBSET_DROP, right, 0, 0, 0);
        }
    }
}

/// Whether the kernel can do what this file relies on.
pub(super) fn probe() -> Result<(), String> {
    let made = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(LEAST))
        .and_then(Ruleset::create);
    match made {
        Ok(_) => Ok(()),
        Err(_) => Err("the kernel's Landlock is off, or older than Linux 6.2".to_owned()),
    }
}

/// Rules that are ready to be put into force.
pub(in super::super) struct Restriction {
    ruleset: Option<RulesetCreated>,
}

impl Restriction {
    /// Hands the rules to the kernel. A path that has gone meanwhile is left out.
    pub(in super::super) fn new(rules: &[Rule]) -> Result<Self, String> {
        let why = |error: landlock::RulesetError| format!("Landlock: {error}");
        let mut ruleset = Ruleset::default()
            .handle_access(AccessFs::from_all(MOST))
            .and_then(|ruleset| ruleset.scope(Scope::from_all(MOST)))
            .and_then(Ruleset::create)
            .map_err(why)?;
        for rule in rules {
            let Ok(place) = PathFd::new(&rule.path) else {
                continue;
            };
            let mut access = match rule.allowed {
                Allowed::List => AccessFs::ReadDir.into(),
                Allowed::Read => AccessFs::from_read(MOST),
                Allowed::Write => AccessFs::from_all(MOST),
            };
            if !rule.path.is_dir() {
                access &= AccessFs::from_file(MOST);
            }
            ruleset = ruleset
                .add_rule(PathBeneath::new(place, access))
                .map_err(why)?;
        }
        Ok(Self {
            ruleset: Some(ruleset),
        })
    }

    /// Puts them into force for this process, for good. Root's rights go, too: some of them are not asked about rules.
    pub(in super::super) fn enforce(&mut self) -> io::Result<()> {
        drop_rights();
        let Some(ruleset) = self.ruleset.take() else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        match ruleset.restrict_self() {
            Ok(status) if status.ruleset != RulesetStatus::NotEnforced => Ok(()),
            _ => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }
}
