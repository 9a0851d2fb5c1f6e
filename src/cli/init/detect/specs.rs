//! Where specs are, or can be put without harm to what is there already.
//!
//! It never knows what a spec says.

use super::{Checkout, DEPTH, Here};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where specs are to be looked for.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Specs {
    /// Below the root.
    pub(in super::super) dir: PathBuf,
    /// Why there, if nothing of that can be seen.
    pub(in super::super) why: Option<&'static str>,
}

/// The directory with the most `<feature>/spec.md`, unless that is where they are looked for anyway. Without any, where they
/// can be put without harm.
pub(in super::super) fn specs(checkout: &Checkout) -> Option<Specs> {
    let mut counts: BTreeMap<PathBuf, usize> = BTreeMap::new();
    let root = Path::new("");
    for dir in checkout.directories(root, DEPTH + 1) {
        let here = Here {
            checkout,
            dir: &dir,
        };
        if here.has("spec.md") {
            *counts.entry(dir.parent()?.to_owned()).or_default() += 1;
        }
    }
    counts.retain(|dir, _| !dir.as_os_str().is_empty());
    let usual = Path::new("specs");
    if counts.contains_key(usual) {
        return None;
    }
    let most = counts
        .into_iter()
        .max_by_key(|(dir, count)| (*count, std::cmp::Reverse(dir.clone())));
    let here = Here {
        checkout,
        dir: root,
    };
    match most {
        Some((dir, _)) => Some(Specs { dir, why: None }),
        None => finds_packages(&here).then(|| Specs {
            dir: "docs/specs".into(),
            why: Some(
                "setuptools would take a directory `specs` for a package; it leaves `docs` alone.",
            ),
        }),
    }
}

/// Whether each directory here is a package to setuptools (the flat layout of its automatic discovery), which refuses to
/// install several.
fn finds_packages(here: &Here<'_>) -> bool {
    let project = here.text("pyproject.toml");
    let is_its = !project.contains("build-backend") || project.contains("setuptools.build_meta");
    let is_told =
        project.contains("[tool.setuptools") || here.has("setup.py") || here.has("setup.cfg");
    project.contains("[project]") && is_its && !is_told && !here.has_dir("src")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Files, tree};
    use super::*;

    #[test]
    fn specs_are_found_where_most_of_them_are() {
        let found = |files: Files<'_>| Some(specs(&tree(files).checkout())?.dir);
        assert_eq!(
            found(&[("specs/a/spec.md", ""), ("docs/b/spec.md", "")]),
            None
        );
        let docs: Files<'_> = &[
            ("docs/specs/a/spec.md", ""),
            ("docs/specs/b/spec.md", ""),
            ("x/c/spec.md", ""),
        ];
        assert_eq!(found(docs), Some("docs/specs".into()));
        assert_eq!(found(&[("README", "")]), None);
        let flat = ("pyproject.toml", "[project]\nname = 'shop'\n");
        let beside = Some(PathBuf::from("docs/specs"));
        assert_eq!(found(&[flat, ("shop/__init__.py", "")]), beside);
        assert_eq!(found(&[flat, ("src/shop/__init__.py", "")]), None);
        assert_eq!(found(&[flat, ("specs/a/spec.md", "")]), None);
        for more in [
            "[build-system]\nbuild-backend = 'hatchling.build'",
            "[tool.setuptools]\npackages = ['shop']",
        ] {
            let text = format!("{}{more}\n", flat.1);
            assert_eq!(found(&[("pyproject.toml", &text)]), None);
        }
    }
}
