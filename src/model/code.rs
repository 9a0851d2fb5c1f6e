//! The stable names of everything that harness refuses or warns of: they are printed with it, and looked up by it.
//!
//! A name is never renamed or given another meaning. This file must never know how a problem is worded.

/// An enum whose members have names that people and programs see, and a list of all of them.
macro_rules! names {
    (
        $(#[$about:meta])+ pub enum $set:ident,
        $($(#[doc = $doc:literal])+ $member:ident = $name:literal,)+
    ) => {
        $(#[$about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $set {
            $($(#[doc = $doc])+ $member,)+
        }

        impl $set {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$member,)+];

            /// Its name, as it is printed.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$member => $name,)+
                }
            }
        }
    };
}
pub(crate) use names;

names! {
    /// What kind of problem it is.
    pub enum Code,
    /// What was asked for does not apply as things stand.
    NotPossible = "not-possible",
    /// The command line is no command of harness.
    Usage = "usage",
    /// A file is not valid YAML.
    BadYaml = "bad-yaml",
    /// A key that does not exist.
    UnknownKey = "unknown-key",
    /// A value that does not fit its key, or is missing.
    BadValue = "bad-value",
    /// A key for what this version cannot do.
    NotAvailable = "not-available",
    /// An agent profile that does not exist.
    UnknownAgent = "unknown-agent",
    /// A variable that looks like one of harness and is none.
    UnknownVariable = "unknown-variable",
    /// A file of the user's that cannot be read as text.
    UnreadableFile = "unreadable-file",
    /// There is no spec.
    NoSpecs = "no-specs",
    /// A feature's name that is not allowed.
    BadSlug = "bad-slug",
    /// The front matter of a spec has no end.
    OpenFrontMatter = "open-front-matter",
    /// A link leads out of the repository.
    LinkOutside = "link-outside",
    /// A line of the order file that says nothing.
    BadOrder = "bad-order",
    /// A route for a label that no feature has.
    UnusedRoute = "unused-route",
    /// A feature that does not exist.
    UnknownFeature = "unknown-feature",
    /// A dependency that does not exist.
    UnknownDependency = "unknown-dependency",
    /// Features that wait for each other.
    DependencyCycle = "dependency-cycle",
    /// A dependency outside of the selection.
    UnselectedDependency = "unselected-dependency",
    /// There is no git repository.
    NoRepository = "no-repository",
    /// A repository that harness cannot work in.
    UnsupportedRepository = "unsupported-repository",
    /// The target has no commit.
    NoCommits = "no-commits",
    /// No branch is checked out.
    DetachedHead = "detached-head",
    /// A branch that does not exist.
    UnknownBranch = "unknown-branch",
    /// A branch that harness needs and cannot have.
    BranchTaken = "branch-taken",
    /// What has landed is not in the target of this run.
    LandedElsewhere = "landed-elsewhere",
    /// A linked worktree, where the main checkout counts.
    LinkedWorktree = "linked-worktree",
    /// A git filter that does not work.
    BrokenFilter = "broken-filter",
    /// git is missing or too old.
    GitMissing = "git-missing",
    /// A git command failed.
    GitFailed = "git-failed",
    /// Something that is not harness's stands where it must write.
    InTheWay = "in-the-way",
    /// An agent's program that cannot be run.
    AgentMissing = "agent-missing",
    /// A key that an agent would charge.
    KeyCharged = "key-charged",
    /// A budget of which nobody tells how much is used.
    Unmeasured = "unmeasured",
    /// A sandbox that cannot be had.
    NoSandbox = "no-sandbox",
    /// A prompt template that does not fit.
    BadTemplate = "bad-template",
    /// The command that says what verdicts depend on fails.
    FingerprintFailed = "fingerprint-failed",
    /// Somebody else is at work.
    Locked = "locked",
    /// The journal is gone.
    JournalMissing = "journal-missing",
    /// The journal is damaged.
    JournalDamaged = "journal-damaged",
    /// The journal is a newer harness's.
    JournalNewer = "journal-newer",
    /// The state directory cannot be read or written.
    StateUnwritable = "state-unwritable",
    /// harness is wrong about itself.
    Internal = "internal",
}
