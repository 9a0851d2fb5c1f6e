//! A model of a repository: commits are sets of changes, merges and gates are functions of those sets. A person
//! commits, rewrites history and keeps a dirty checkout; whatever stood at the target or landed is remembered.

use super::dice::Dice;
use super::{number, oid, slug_number};
use harness::model::{
    BuildOutcome, Candidate, Chain, Ground, LandOutcome, Member, Oid, PublishOutcome, Relation,
    RightOfWay, Slug, Step, Trial,
};
use std::collections::{BTreeMap, BTreeSet};

/// What a commit contains: `<feature>@<version>`, and changes of people's.
pub(super) type Content = BTreeSet<String>;

/// A commit: everything it contains, and its history.
#[derive(Clone, Debug, Default)]
pub(super) struct Commit {
    pub(super) content: Content,
    ancestors: BTreeSet<u64>,
}

/// One version of a feature's branch.
#[derive(Clone, Debug, Default)]
struct Change {
    /// Whether it passes alone.
    good: bool,
    /// With whom its agent has merged it and made it work.
    reconciled: BTreeSet<String>,
}

/// How things stand between changes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Odds {
    /// Percent of the pairs that conflict, and of those that fail together.
    pub(super) textual: u64,
    pub(super) semantic: u64,
    pub(super) flaky: u64,
    /// Nothing passes before the first feature repairs it.
    pub(super) broken_base: bool,
}

#[derive(Debug)]
pub(super) struct Repository {
    commits: BTreeMap<u64, Commit>,
    changes: BTreeMap<String, Change>,
    next: u64,
    pub(super) integration: u64,
    pub(super) target: u64,
    /// Versions of the branches that exist; 0: it stands where it began.
    pub(super) branches: BTreeMap<Slug, u64>,
    versions: BTreeMap<Slug, u64>,
    /// Contents that a gate has really passed, and the gate.
    passed: BTreeSet<(Content, String)>,
    /// Commits that need no evidence: people's, and what landed while no checks were set.
    exempt: BTreeSet<u64>,
    /// Everything that ever landed by harness's doing, and everything that it published.
    pub(super) landed: BTreeSet<String>,
    pub(super) published: Vec<u64>,
    /// Whether a person took something out of the target.
    pub(super) rewritten: bool,
    /// Whether the checkout is in the way.
    pub(super) dirty: bool,
    pub(super) odds: Odds,
}

fn hash(a: &str, b: &str) -> u64 {
    let (a, b) = if a < b { (a, b) } else { (b, a) };
    let bytes = a.bytes().chain([b'/']).chain(b.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |h, byte| {
        (h ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    }) >> 7
}

fn name(change: &str) -> &str {
    change.split('@').next().unwrap()
}

impl Repository {
    pub(super) fn new(odds: Odds) -> Self {
        Self {
            commits: BTreeMap::from([(1, Commit::default())]),
            changes: BTreeMap::new(),
            next: 2,
            integration: 1,
            target: 1,
            branches: BTreeMap::new(),
            versions: BTreeMap::new(),
            passed: BTreeSet::new(),
            exempt: BTreeSet::from([1]),
            landed: BTreeSet::new(),
            published: Vec::new(),
            rewritten: false,
            dirty: false,
            odds,
        }
    }

    fn commit(&mut self, content: Content, parents: &[u64]) -> u64 {
        let mut ancestors: BTreeSet<u64> = parents.iter().copied().collect();
        for parent in parents {
            ancestors.extend(&self.commits[parent].ancestors);
        }
        let id = self.next;
        self.next += 1;
        self.commits.insert(id, Commit { content, ancestors });
        id
    }

    pub(super) fn content(&self, commit: u64) -> &Content {
        &self.commits[&commit].content
    }

    fn tree(content: &Content) -> Oid {
        let text: Vec<&str> = content.iter().map(String::as_str).collect();
        oid(hash(&text.join(","), "tree") | 1 << 60)
    }

    fn tree_of(&self, commit: u64) -> Oid {
        Self::tree(self.content(commit))
    }

    fn descends(&self, commit: u64, ancestor: u64) -> bool {
        commit == ancestor || self.commits[&commit].ancestors.contains(&ancestor)
    }

    /// Whether a commit contains something of a feature's.
    pub(super) fn holds(&self, commit: u64, slug: &Slug) -> bool {
        self.content(commit)
            .iter()
            .any(|change| name(change) == slug.as_str())
    }

    /// Whether the target holds all that has landed.
    pub(super) fn is_published(&self) -> bool {
        self.descends(self.target, self.integration)
    }

    /// The tip of a feature's branch as harness sees it.
    pub(super) fn branch_tip(slug: &Slug, version: u64) -> Oid {
        oid(1_000_000 * (1 + slug_number(slug)) + version)
    }
}

/// What agents do.
impl Repository {
    /// A branch begins anew at what has landed.
    pub(super) fn begin_branch(&mut self, slug: &Slug) {
        self.branches.insert(slug.clone(), 0);
    }

    /// An agent worked on its branch, and on the merge that was its task, if one was.
    pub(super) fn work(&mut self, slug: &Slug, good: bool, merged: Option<u64>) {
        let old = self.change(slug);
        let version = self.versions.entry(slug.clone()).or_default();
        *version += 1;
        self.branches.insert(slug.clone(), *version);
        let old = old.and_then(|old| self.changes.get(&old)).cloned();
        let mut change = Change {
            good,
            ..old.unwrap_or_default()
        };
        if let Some(onto) = merged {
            let names = self
                .content(onto)
                .iter()
                .map(|other| name(other).to_owned());
            change.reconciled.extend(names);
        }
        let key = self.change(slug).unwrap();
        self.changes.insert(key, change);
    }

    /// What a feature's branch would bring.
    pub(super) fn change(&self, slug: &Slug) -> Option<String> {
        let version = self.branches.get(slug).filter(|version| **version > 0)?;
        Some(format!("{slug}@{version}"))
    }
}

/// What merging does.
impl Repository {
    fn reconciled(&self, change: &str, with: &str) -> bool {
        let change = self.changes.get(change);
        change.is_some_and(|change| change.reconciled.contains(with))
    }

    fn conflicts(&self, change: &str, content: &Content) -> Vec<String> {
        let own = name(change);
        let clashing = content.iter().map(|other| name(other)).filter(|other| {
            *other != own
                && hash(own, other) % 100 < self.odds.textual
                && !self.reconciled(change, other)
        });
        clashing.map(|other| format!("{other}.rs")).collect()
    }

    /// Where the refs stand; as production's `git::ground`.
    pub(super) fn ground(&mut self, published: Option<u64>) -> Ground {
        let (tip, target) = (self.integration, self.target);
        let is_public = published == Some(tip) || self.descends(target, tip);
        let relation = if is_public && tip != target {
            self.integration = target;
            Relation::Behind
        } else if self.descends(tip, target) {
            let back = |from: u64| from != target && self.descends(from, target);
            match published.is_some_and(back) {
                true => Relation::Rewritten,
                false => Relation::Behind,
            }
        } else if published.is_none_or(|known| self.descends(target, known)) {
            Relation::Ahead
        } else {
            Relation::Rewritten
        };
        Ground {
            tip: oid(self.integration),
            tree: self.tree_of(self.integration),
            target: oid(self.target),
            relation,
        }
    }

    pub(super) fn build(
        &mut self,
        what: Trial,
        (onto, tip): (u64, u64),
        members: &[Member],
        first: &[RightOfWay],
        follow: Option<u64>,
    ) -> BuildOutcome {
        if follow.is_some_and(|known| known != self.target) {
            let ground = self.ground(follow);
            return BuildOutcome::Moved { ground };
        }
        let mut chain = Chain {
            onto: oid(onto),
            onto_tree: self.tree_of(onto),
            commit: oid(onto),
            tree: self.tree_of(onto),
            steps: Vec::new(),
        };
        if what == Trial::Reconcile {
            let mut content = self.content(onto).clone();
            if content.iter().any(|c| c.starts_with("user")) && tip.is_multiple_of(3) {
                let paths = vec!["a.rs".into()];
                return BuildOutcome::Clash { paths };
            }
            content.extend(self.content(tip).iter().cloned());
            chain.tree = Self::tree(&content);
            chain.commit = oid(self.commit(content, &[onto, tip]));
        }
        let (mut conflicts, mut deferred, mut yielded) = (Vec::new(), Vec::new(), Vec::new());
        for member in members {
            let slug = &member.slug;
            let before = first.iter().take_while(|other| other.slug != *slug);
            let mut before = before.map(|other| &other.slug);
            let clash = |to: &&Slug| hash(slug.as_str(), to.as_str()) % 100 < self.odds.textual;
            if let Some(to) = before.find(clash) {
                yielded.push((slug.clone(), to.clone()));
                continue;
            }
            let at = number(&chain.commit);
            let change = self.change(slug);
            if let Some(change) = &change {
                let paths = self.conflicts(change, self.content(at));
                let landed = self.conflicts(change, self.content(tip));
                match (paths.is_empty(), landed.is_empty()) {
                    (true, _) => {}
                    (false, true) => deferred.push(slug.clone()),
                    (false, false) => conflicts.push((slug.clone(), paths.clone())),
                }
                if !paths.is_empty() {
                    continue;
                }
            }
            let step = self.step(slug, change, at);
            (chain.commit, chain.tree) =
                (step.candidate.commit.clone(), step.candidate.tree.clone());
            chain.steps.push(step);
        }
        BuildOutcome::Built {
            chain,
            conflicts,
            deferred,
            yielded,
            failed: Vec::new(),
        }
    }

    /// One feature's merge onto a commit; what brings nothing is the commit itself.
    fn step(&mut self, slug: &Slug, change: Option<String>, onto: u64) -> Step {
        let mut content = self.content(onto).clone();
        let alone: Content = change.iter().cloned().collect();
        let brings = change.is_some_and(|change| content.insert(change));
        let commit = match brings {
            true => self.commit(content.clone(), &[onto]),
            false => onto,
        };
        let version = self.branches.get(slug).copied().unwrap_or(0);
        Step {
            slug: slug.clone(),
            candidate: Candidate {
                commit: oid(commit),
                tree: Self::tree(&content),
                onto: oid(onto),
                branch_tip: Self::branch_tip(slug, version),
                branch_tree: Self::tree(&alone),
            },
        }
    }

    /// Whether what a commit contains works.
    fn works(&self, content: &Content) -> bool {
        let repaired = content.iter().any(|change| name(change) == "f00");
        if self.odds.broken_base && !repaired {
            return false;
        }
        let features: Vec<&String> = content.iter().filter(|c| c.contains('@')).collect();
        features.iter().enumerate().all(|(n, change)| {
            let good = self.changes.get(*change).is_some_and(|change| change.good);
            good && features[..n].iter().all(|other| {
                let (a, b) = (name(change), name(other));
                let bad =
                    a != b && hash(&format!("{a}!"), &format!("{b}!")) % 100 < self.odds.semantic;
                !bad || self.reconciled(change, b) || self.reconciled(other, a)
            })
        })
    }

    pub(super) fn gate(&mut self, commit: u64, gate: &str, dice: &mut Dice) -> bool {
        let content = self.content(commit);
        let green = self.works(content) && !dice.chance(self.odds.flaky);
        if green {
            let content = content.clone();
            self.passed.insert((content, gate.to_owned()));
        }
        green
    }

    /// `gate`: what everything that lands must have passed, if anything.
    pub(super) fn land(&mut self, from: u64, to: u64, gate: Option<&String>) -> LandOutcome {
        if self.descends(self.integration, to) {
            return LandOutcome::Done;
        }
        if self.integration != from || !self.descends(to, from) {
            let ground = self.ground(None);
            return LandOutcome::Moved { ground };
        }
        let content = self.content(to).clone();
        match gate {
            Some(gate) => {
                let passed = self.passed.contains(&(content.clone(), gate.clone()));
                assert!(passed, "landed without evidence: {content:?}");
            }
            None => drop(self.exempt.insert(to)),
        }
        self.landed.extend(content);
        self.integration = to;
        LandOutcome::Done
    }

    pub(super) fn rewind(&mut self) -> Ground {
        self.integration = self.target;
        self.ground(None)
    }

    /// As production's `git::land`: forward only, and never over what a person did.
    pub(super) fn publish(&mut self, known: u64, to: u64, gated: bool) -> PublishOutcome {
        if self.target == to {
            return PublishOutcome::Done;
        }
        let set_back = known != self.target && self.descends(known, self.target);
        if !self.descends(to, self.target) || set_back {
            let ground = self.ground(Some(known));
            return match self.descends(number(&ground.target), to) {
                true => PublishOutcome::Beyond { ground },
                false => PublishOutcome::Moved { ground },
            };
        }
        if self.dirty {
            let why = "the checkout is in the way".into();
            return PublishOutcome::Waiting { why };
        }
        let content = self.content(to);
        let passed = self.passed.iter().any(|(known, _)| known == content);
        assert!(
            passed || !gated || self.exempt.contains(&to),
            "published without evidence: {content:?}"
        );
        self.target = to;
        self.published.push(to);
        PublishOutcome::Done
    }
}

/// What people do.
impl Repository {
    pub(super) fn user_commits(&mut self) {
        let mut content = self.content(self.target).clone();
        content.insert(format!("user{}", self.next));
        self.target = self.commit(content, &[self.target]);
        self.exempt.insert(self.target);
    }

    pub(super) fn user_rewrites(&mut self, dice: &mut Dice) {
        match dice.roll(3) {
            0 => {
                self.rewritten = true;
                let content = Content::from([format!("user{}", self.next)]);
                self.target = self.commit(content, &[1]);
            }
            1 => {
                let older: Vec<u64> = self.commits[&self.target]
                    .ancestors
                    .iter()
                    .copied()
                    .collect();
                let Some(back) = dice.pick(&older) else {
                    return;
                };
                self.rewritten = true;
                self.target = back;
            }
            _ => {
                let both = [self.target, self.integration];
                let contents = both.iter().flat_map(|commit| self.content(*commit).clone());
                let content = contents.collect();
                self.target = self.commit(content, &both);
            }
        }
        self.exempt.insert(self.target);
    }

    /// A commit without a feature on top of what has landed, published as landing does; `None`: nothing of it is
    /// left.
    pub(super) fn take_back(&mut self, slug: &Slug) -> Option<u64> {
        let (mine, others): (Content, Content) = self
            .content(self.integration)
            .iter()
            .cloned()
            .partition(|change| name(change) == slug.as_str());
        if mine.is_empty() {
            return None;
        }
        self.integration = self.commit(others, &[self.integration]);
        self.target = self.integration;
        self.exempt.insert(self.target);
        Some(self.target)
    }
}
