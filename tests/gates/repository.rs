//! A model of a repository for counting gates: commits are sets of changes, merges and gates are functions of
//! those sets, a user commits, rewrites history and keeps a dirty checkout.

use super::{Dice, oid, slug_number};
use harness::model::{
    BuildOutcome, Candidate, Chain, Ground, LandOutcome, Member, Oid, PublishOutcome, Relation,
    RightOfWay, Slug, Step, Trial,
};
use std::collections::{BTreeMap, BTreeSet};

/// A commit: everything it contains, and its history.
#[derive(Clone, Debug, Default)]
pub(super) struct Commit {
    /// Features, and the user's own changes.
    pub(super) content: BTreeSet<String>,
    pub(super) ancestors: BTreeSet<u64>,
}

/// What a feature's agent has made of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Branch {
    /// Whether the feature passes alone.
    pub(super) good: bool,
    /// With whom its agent has merged it and made it work.
    pub(super) reconciled: BTreeSet<String>,
    /// Changes with every iteration.
    pub(super) version: u64,
}

#[derive(Debug)]
pub(super) struct Repository {
    pub(super) commits: BTreeMap<u64, Commit>,
    next: u64,
    pub(super) integration: u64,
    pub(super) target: u64,
    pub(super) branches: BTreeMap<Slug, Branch>,
    /// Contents that a gate has really passed.
    pub(super) passed: BTreeSet<BTreeSet<String>>,
    /// Everything the target ever stood at by our doing.
    pub(super) published: Vec<u64>,
    pub(super) rewritten: bool,
    pub(super) gates: u32,
    /// Which pairs of features clash: percent of textual and of semantic ones.
    pub(super) textual: u64,
    pub(super) semantic: u64,
    pub(super) flaky: u64,
    pub(super) user: u64,
    pub(super) broken_base: bool,
}

fn hash(a: &str, b: &str) -> u64 {
    let (a, b) = if a < b { (a, b) } else { (b, a) };
    let text = format!("{a}/{b}");
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |h, byte| {
        (h ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    }) >> 7
}

impl Default for Repository {
    fn default() -> Self {
        let mut commits = BTreeMap::new();
        commits.insert(1, Commit::default());
        Self {
            commits,
            next: 2,
            integration: 1,
            target: 1,
            branches: BTreeMap::new(),
            passed: BTreeSet::new(),
            published: Vec::new(),
            rewritten: false,
            gates: 0,
            textual: 8,
            semantic: 4,
            flaky: 4,
            user: 3,
            broken_base: false,
        }
    }
}

impl Repository {
    fn commit(&mut self, content: BTreeSet<String>, parents: &[u64]) -> u64 {
        let mut ancestors: BTreeSet<u64> = parents.iter().copied().collect();
        for parent in parents {
            ancestors.extend(&self.commits[parent].ancestors);
        }
        let id = self.next;
        self.next += 1;
        self.commits.insert(id, Commit { content, ancestors });
        id
    }

    fn tree(&self, content: &BTreeSet<String>) -> Oid {
        let text: Vec<&str> = content.iter().map(String::as_str).collect();
        oid(hash(&text.join(","), "tree") | 1 << 60)
    }

    pub(super) fn tree_of(&self, commit: u64) -> Oid {
        self.tree(&self.commits[&commit].content)
    }

    fn descends(&self, commit: u64, ancestor: u64) -> bool {
        commit == ancestor || self.commits[&commit].ancestors.contains(&ancestor)
    }

    /// What stands in a commit for a feature: its name and the version of its branch.
    fn change(&self, slug: &Slug) -> String {
        let version = self.branches.get(slug).map_or(0, |branch| branch.version);
        format!("{slug}@{version}")
    }

    fn clashes(&self, slug: &Slug, other: &str) -> bool {
        let name = other.split('@').next().unwrap();
        let branch = self.branches.get(slug).cloned().unwrap_or_default();
        hash(slug.as_str(), name) % 100 < self.textual && !branch.reconciled.contains(name)
    }

    fn conflict(&self, slug: &Slug, content: &BTreeSet<String>) -> Option<Vec<String>> {
        let with: Vec<String> = content
            .iter()
            .filter(|other| self.clashes(slug, other))
            .map(|other| format!("{other}.rs"))
            .collect();
        (!with.is_empty()).then_some(with)
    }

    pub(super) fn ground(&mut self, published: Option<u64>) -> Ground {
        let (tip, target) = (self.integration, self.target);
        if !self.descends(tip, target) && (self.descends(target, tip) || published == Some(tip)) {
            self.integration = target;
        }
        let tip = self.integration;
        let relation = if self.descends(tip, target) {
            Relation::Behind
        } else if published.is_none_or(|known| self.descends(target, known)) {
            Relation::Ahead
        } else {
            Relation::Rewritten
        };
        Ground {
            tip: oid(tip),
            tree: self.tree_of(tip),
            target: oid(target),
            relation,
        }
    }

    pub(super) fn build(
        &mut self,
        what: Trial,
        onto: u64,
        tip: u64,
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
        let (mut conflicts, mut deferred) = (Vec::new(), Vec::new());
        let mut yielded = Vec::new();
        if what == Trial::Reconcile {
            let mut content = self.commits[&onto].content.clone();
            if content.iter().any(|c| c.starts_with("user")) && tip.is_multiple_of(3) {
                return BuildOutcome::Clash {
                    paths: vec!["a.rs".into()],
                };
            }
            content.extend(self.commits[&tip].content.iter().cloned());
            chain.tree = self.tree(&content);
            chain.commit = oid(self.commit(content, &[onto, tip]));
        }
        let mut at = onto;
        for member in members {
            let slug = &member.slug;
            let before = first.iter().take_while(|other| other.slug != *slug);
            let mut before = before.map(|other| &other.slug);
            if let Some(to) =
                before.find(|to| hash(slug.as_str(), to.as_str()) % 100 < self.textual)
            {
                yielded.push((slug.clone(), to.clone()));
                continue;
            }
            let content = self.commits[&at].content.clone();
            if let Some(paths) = self.conflict(&member.slug, &content) {
                let landed = self.commits[&tip].content.clone();
                match self.conflict(&member.slug, &landed) {
                    None => deferred.push(member.slug.clone()),
                    Some(_) => conflicts.push((member.slug.clone(), paths)),
                }
                continue;
            }
            let mut content = content;
            let branch_tip = self.change(&member.slug);
            content.insert(branch_tip.clone());
            let before = at;
            at = self.commit(content.clone(), &[at]);
            let alone = BTreeSet::from([branch_tip]);
            chain.steps.push(Step {
                slug: member.slug.clone(),
                candidate: Candidate {
                    commit: oid(at),
                    tree: self.tree(&content),
                    onto: oid(before),
                    branch_tip: oid(slug_number(&member.slug) + 5_000_000),
                    branch_tree: self.tree(&alone),
                },
            });
            chain.commit = oid(at);
            chain.tree = self.tree(&content);
        }
        BuildOutcome::Built {
            chain,
            conflicts,
            deferred,
            yielded,
            failed: Vec::new(),
        }
    }

    /// Whether what a commit contains works.
    pub(super) fn works(&self, commit: u64) -> bool {
        let content = &self.commits[&commit].content;
        let repaired = content.iter().any(|change| change.starts_with("f00@"));
        if self.broken_base && !repaired {
            return false;
        }
        content.iter().all(|change| {
            let Some((name, _)) = change.split_once('@') else {
                return true;
            };
            let branch = self.branches.iter().find(|(slug, _)| slug.as_str() == name);
            let good = branch.is_none_or(|(_, branch)| branch.good);
            let pairs = content.iter().all(|other| {
                let other = other.split('@').next().unwrap();
                let bad = hash(&format!("{name}!"), &format!("{other}!")) % 100 < self.semantic;
                let made = |a: &str, b: &str| {
                    let found = self.branches.iter().find(|(slug, _)| slug.as_str() == a);
                    found.is_some_and(|(_, branch)| branch.reconciled.contains(b))
                };
                other == name || !bad || made(name, other) || made(other, name)
            });
            good && pairs
        })
    }

    pub(super) fn gate(&mut self, commit: u64, dice: &mut Dice) -> bool {
        self.gates += 1;
        let green = self.works(commit) && !dice.chance(self.flaky);
        if green {
            self.passed.insert(self.commits[&commit].content.clone());
        }
        green
    }

    pub(super) fn land(&mut self, from: u64, to: u64) -> LandOutcome {
        if self.descends(self.integration, to) {
            return LandOutcome::Done;
        }
        if self.integration != from {
            let ground = self.ground(None);
            return LandOutcome::Moved { ground };
        }
        assert!(self.descends(to, from), "the integration ref went back");
        self.integration = to;
        LandOutcome::Done
    }

    pub(super) fn rewind(&mut self) -> Ground {
        self.integration = self.target;
        self.ground(None)
    }

    pub(super) fn publish(&mut self, from: u64, to: u64, dice: &mut Dice) -> PublishOutcome {
        if dice.chance(self.user) {
            self.user_acts(dice);
        }
        if self.target == to {
            return PublishOutcome::Done;
        }
        if self.descends(to, self.target) {
            if dice.chance(self.user * 3) {
                return PublishOutcome::Waiting {
                    why: "dirty".into(),
                };
            }
            let content = &self.commits[&to].content;
            assert!(
                self.passed.contains(content),
                "published without evidence: {content:?}"
            );
            self.target = to;
            self.published.push(to);
            return PublishOutcome::Done;
        }
        let ground = self.ground(Some(from));
        if self.descends(self.target, to) {
            PublishOutcome::Beyond { ground }
        } else {
            PublishOutcome::Moved { ground }
        }
    }

    fn user_acts(&mut self, dice: &mut Dice) {
        if dice.chance(10) && !self.published.is_empty() {
            // Somebody rewrites history.
            self.rewritten = true;
            self.target = self.commit(BTreeSet::from(["user-rewrote".into()]), &[1]);
            return;
        }
        let mut content = self.commits[&self.target].content.clone();
        content.insert(format!("user{}", self.next));
        self.target = self.commit(content, &[self.target]);
    }

    /// Whether what has landed or is published holds a feature.
    pub(super) fn holds(&self, commit: u64, slug: &Slug) -> bool {
        let prefix = format!("{slug}@");
        let content = &self.commits[&commit].content;
        content.iter().any(|change| change.starts_with(&prefix))
    }
}
