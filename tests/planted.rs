//! What an agent plants in the repository for git to run is not run by harness, in the whole rest of the night, and
//! is told.

#![cfg(feature = "fake-agent")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use support::Site;

/// Settings by which git runs a program; `@` stands for one that leaves a trace.
const SETTINGS: [(&str, &str); 24] = [
    ("core.fsmonitor", "@"),
    ("core.hooksPath", "%/planted-hooks"),
    ("core.editor", "@"),
    ("sequence.editor", "@"),
    ("core.pager", "@"),
    ("core.sshCommand", "@"),
    ("core.askPass", "@"),
    ("core.gitProxy", "@"),
    ("core.alternateRefsCommand", "@"),
    ("credential.helper", "!@"),
    ("gpg.program", "@"),
    ("commit.gpgSign", "true"),
    ("filter.evil.clean", "@"),
    ("filter.evil.smudge", "@"),
    ("filter.evil.process", "@"),
    ("filter.evil.required", "true"),
    ("merge.evil.driver", "@"),
    ("diff.evil.textconv", "@"),
    ("diff.evil.command", "@"),
    ("diff.external", "@"),
    ("include.path", "%/planted-config"),
    ("remote.evil.url", "ext::@"),
    ("remote.evil.promisor", "true"),
    ("extensions.worktreeConfig", "true"),
];

/// A program that leaves a trace of every time it is run, and the directory of the traces.
fn leave_trace(site: &Site) -> (PathBuf, PathBuf) {
    let (traces, program) = (site.path("traces"), site.path("bin").join("leave-trace"));
    std::fs::create_dir(&traces).unwrap();
    let text = format!(
        "#!/bin/sh\necho \"$0 $*\" > '{}'/$$\ncat\nexit 0\n",
        traces.display()
    );
    std::fs::write(&program, text).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    (traces, program)
}

fn left_in(traces: &Path) -> Vec<String> {
    std::fs::read_dir(traces)
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect()
}

#[test]
fn nothing_planted_is_run_and_all_of_it_is_told() {
    plant_everything("worktree");
}

#[test]
fn nor_is_it_where_agents_have_a_clone() {
    plant_everything("clone");
}

fn plant_everything(isolation: &str) {
    let site = Site::new();
    site.shell_config(&format!(
        "isolation: {isolation}\nverify: {{commands: ['test -e shared.txt']}}"
    ));
    let common = site.repo.join(".git");
    let (traces, program) = leave_trace(&site);
    let at = |text: &str| {
        text.replace('@', program.to_str().unwrap())
            .replace('%', common.to_str().unwrap())
    };
    // One plants everything, without ever running git itself after the first line that could be obeyed.
    let mut plant = String::from("set -e\n");
    let mut file = String::new();
    for (key, value) in SETTINGS {
        let (section, name) = key.rsplit_once('.').unwrap();
        let section = match section.split_once('.') {
            Some((section, sub)) => format!("{section} \"{sub}\""),
            None => section.to_owned(),
        };
        file.push_str(&format!("[{section}]\n\t{name} = {}\n", at(value)));
    }
    let common = common.display();
    let program = program.display();
    plant.push_str(&format!(
        "while [ ! -e '{0}' ]; do sleep 0.01; done\n\
         cat >> '{common}/config' <<'END'\n{file}END\n\
         printf '[filter \"more\"]\\n\\tclean = {program}\\n\\tsmudge = {program}\\n' > '{common}/planted-config'\n\
         mkdir -p '{common}/planted-hooks' '{common}/hooks' '{common}/info' '{common}/objects/info'\n\
         for hook in pre-commit post-checkout post-merge reference-transaction post-index-change pre-auto-gc update; do\n\
         cp '{program}' '{common}/hooks/'$hook; cp '{program}' '{common}/planted-hooks/'$hook; done\n\
         printf '* filter=evil merge=evil diff=evil\\n*.txt filter=more\\n' > '{common}/info/attributes'\n\
         printf '* filter=evil merge=evil diff=evil\\n' > .gitattributes\n\
         for tree in '{common}'/worktrees/*; do printf '[filter \"evil\"]\\n\\tclean = {program}\\n\\tsmudge = {program}\\n' \
         > \"$tree/config.worktree\"; mkdir -p \"$tree/info\"; printf '* filter=evil\\n' > \"$tree/info/attributes\"; done\n\
         mkdir -p '{common}/elsewhere'; cp '{common}/config' '{common}/elsewhere/config'\n\
         mkdir -p '{common}/elsewhere/objects/pack'; echo '{common}/elsewhere/objects' > '{common}/objects/info/alternates'\n\
         echo planted > planted.txt; touch '{1}'",
        site.path("began").display(),
        site.path("planted").display()
    ));
    site.shell("planter", &plant);
    // Somebody else is at work meanwhile, so that it is not certain who did it: nobody trips, the night goes on.
    site.shell(
        "beside",
        &format!(
            "touch '{}'; while [ ! -e '{}' ]; do sleep 0.01; done; echo beside > beside.txt",
            site.path("began").display(),
            site.path("planted").display()
        ),
    );
    // Others redirect what leads from their worktree to the repository.
    site.shell(
        "redirects",
        "echo redirects > redirects.txt; own=$(sed 's/gitdir: //' .git); cp -r \"$own\" ./elsewhere.git\n\
         echo ../../elsewhere > \"$own/commondir\"",
    );
    site.spec("redirects", "depends_on: planter");
    site.shell(
        "moves",
        "echo moves > moves.txt; own=$(sed 's/gitdir: //' .git); mkdir ../own.git\n\
         cp -r \"$own\"/. ../own.git/; echo \"${own%/worktrees/*}\" > ../own.git/commondir\n\
         echo \"gitdir: $PWD/../own.git\" > .git",
    );
    site.spec("moves", "depends_on: planter");
    // And two that get in each other's way, so that everything that merging does is done.
    for (own, other) in [("left", "right"), ("right", "left")] {
        site.shell(
            own,
            &format!(
                "touch '{}'; while [ ! -e '{}' ]; do sleep 0.01; done\n\
                 if [ \"$HARNESS_ITERATION\" = 1 ]; then echo {own} > shared.txt; else printf 'both\\n' > shared.txt; fi",
                site.path(own).display(),
                site.path(other).display()
            ),
        );
        site.spec(own, "depends_on: planter");
    }
    site.write("shared.txt", "base\n");
    site.commit("specs");
    let head = site.git(&["rev-parse", "HEAD"]);
    let config = std::fs::read_to_string(site.repo.join(".git/config")).unwrap();
    let ran = site.harness(&["run", "--parallel", "4"]);
    let left = left_in(&traces);
    assert_eq!(left, [""; 0], "{}", ran.err);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    for part in [
        "while beside #1, planter #1",
        " ran, something changed in the repository that git obeys",
        "the setting filter.evil.clean",
        "the setting core.fsmonitor",
        "the hook pre-commit",
        "the file info/attributes",
    ] {
        assert!(ran.err.contains(part), "{part}: {}", ran.err);
    }
    assert_eq!(ran.err.matches("that git obeys").count(), 1, "told once");
    // git itself works again once the person has taken it out.
    std::fs::write(site.repo.join(".git/config"), config).unwrap();
    for name in ["hooks", "info/attributes", "objects/info/alternates"] {
        let path = site.repo.join(".git").join(name);
        let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir_all(&path));
    }
    assert_ne!(site.git(&["rev-parse", "HEAD"]), head);
    assert_eq!(site.read("shared.txt"), "both\n");
    for name in ["planted", "redirects", "moves"] {
        assert!(site.repo.join(format!("{name}.txt")).exists(), "{name}");
    }
    site.git(&["fsck", "--strict", "--no-dangling"]);
}

#[test]
fn a_repository_in_the_worktree_is_not_asked_by_its_own_settings() {
    let site = Site::new();
    site.shell_config("verify: {commands: ['test -e README']}");
    let (traces, program) = leave_trace(&site);
    // As a submodule would be, with an index that must look at the file again, and without one.
    let plant = |staged: bool| {
        let program = program.display();
        let stage = if staged { "git add sub" } else { "true" };
        format!(
            "mkdir sub; cd sub; git init -q; echo a > a; echo '* filter=evil diff=evil' > .gitattributes; git add -A\n\
             git commit -qm sub; cd ..; {stage}; cd sub; for key in filter.evil.clean filter.evil.smudge filter.evil.process \
             diff.evil.textconv core.fsmonitor core.sshCommand; do git config $key '{program}'; done; \
             mkdir -p .git/hooks; cp '{program}' .git/hooks/post-index-change\n\
             rm a; echo b > a; cd ..; rm -f '{}'/*; echo done > own-$HARNESS_FEATURE.txt",
            traces.display()
        )
    };
    site.shell("staged", &plant(true));
    site.shell("plain", &plant(false).replace("sub", "other"));
    site.spec("plain", "depends_on: staged");
    site.commit("specs");
    let ran = site.harness(&["run", "--parallel", "1"]);
    let left = left_in(&traces);
    assert_eq!(left, [""; 0], "{}", ran.err);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    for file in ["own-staged.txt", "own-plain.txt", "sub/a", "other/a"] {
        assert!(site.repo.join(file).exists(), "{file}: {}", ran.err);
    }
}
