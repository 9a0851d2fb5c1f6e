//! Whatever a repository holds and however git is told to treat it: agents, gates and the user's checkout see it
//! as a checkout of git's own would, and it lands as it is.

#![cfg(feature = "fake-agent")]

mod support;

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use support::{Ran, Site};

fn all_landed(site: &Site, args: &[&str]) {
    let ran = site.harness(args);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(site.git(&["status", "--porcelain"]), "", "{}", ran.err);
    site.git(&["fsck", "--strict", "--no-dangling"]);
}

fn clashes(site: &Site) -> Vec<String> {
    let events = site.journal().into_iter();
    let clashed = events.filter(|event| event["event"] == "clashed");
    clashed.map(|event| event["paths"].to_string()).collect()
}

#[test]
fn every_kind_of_file_lands_as_it_is() {
    let site = Site::new();
    site.shell_config(
        "verify:\n  commands:\n    - '! [ -e run.sh ] || [ ! -e modes ] || { [ -x run.sh ] && [ ! -x tool.sh ]; }'\n    \
         - '! [ -L to-file ] || [ \"$(cat to-file)\" = base ]'",
    );
    site.write("run.sh", "echo run\n");
    site.write("tool.sh", "echo tool\n");
    let exec = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(site.repo.join("tool.sh"), exec).unwrap();
    for name in ["base", "swap", "old/one", "old/two", "hollow/deep/file"] {
        site.write(name, "base\n");
    }
    site.shell("modes", "chmod +x run.sh; chmod -x tool.sh; touch modes");
    site.shell(
        "links",
        "ln -s base to-file; ln -s nowhere dangling; ln -s /etc/hostname outside; ln -s old to-dir; \
         rm -r hollow; ln -s base hollow",
    );
    site.shell(
        "names",
        "printf x > 'sp ace'; printf x > \"$(printf 'new\\nline')\"; printf x > \"$(printf 'raw\\377\\376')\"; \
         printf x > ./-dash; printf x > 'üml'; printf x > 'quo\"te'; mkdir ' '; printf x > ' / '",
    );
    site.shell(
        "sizes",
        ": > empty; yes 0123456789 | head -c 9000000 > large",
    );
    site.shell("upper", "echo upper > README.txt");
    site.shell("lower", "echo lower > readme.txt");
    site.shell("swap", "rm swap; mkdir swap; echo in > swap/in");
    site.shell("rename", "git mv old new");
    site.shell(
        "within",
        "if [ \"$HARNESS_ITERATION\" = 1 ]; then echo more > old/three; else git add -A; fi",
    );
    site.commit("specs");
    all_landed(&site, &["run", "--parallel", "4"]);
    let root = &site.repo;
    let mode = |name: &str| root.join(name).metadata().unwrap().permissions().mode() & 0o111;
    assert!(mode("run.sh") != 0 && mode("tool.sh") == 0);
    let link = |name: &str| std::fs::read_link(root.join(name)).unwrap();
    assert_eq!(link("dangling").to_str(), Some("nowhere"));
    assert_eq!(link("outside").to_str(), Some("/etc/hostname"));
    assert_eq!(link("hollow").to_str(), Some("base"));
    let raw = std::ffi::OsStr::from_bytes(b"raw\xff\xfe");
    for name in ["sp ace", "new\nline", "-dash", "üml", "quo\"te", " / "] {
        assert_eq!(site.read(name), "x", "{name:?}");
    }
    assert!(root.join(raw).is_file());
    assert_eq!(root.join("large").metadata().unwrap().len(), 9_000_000);
    assert_eq!(site.read("empty"), "");
    // On a file system that tells them apart there are two; elsewhere git itself shows one of them.
    assert_eq!(site.read("README.txt"), "upper\n");
    assert_eq!(site.read("readme.txt"), "lower\n");
    assert_eq!(site.read("swap/in"), "in\n");
    // Added to a directory that another one renamed: git asks whether it was meant to move along, unless it came
    // first.
    assert!(root.join("new/one").is_file() && !root.join("old/one").exists());
    assert_eq!(site.read("new/three"), "more\n");
    let clashed = clashes(&site);
    assert!(
        clashed.is_empty() || clashed == ["[\"new/three\"]"],
        "{clashed:?}"
    );
    site.assert_no_litter();
}

#[test]
fn filters_and_line_ends_are_as_in_any_checkout() {
    let site = Site::new();
    site.shell_config(
        "verify: {commands: ['for f in *.dat; do grep -q \"^plain\" \"$f\" || exit 1; done', \
         'grep -q \"$(printf \"\\\\r\")\" dos.txt']}",
    );
    site.git(&["config", "filter.box.clean", "sed 's/^/boxed /'"]);
    site.git(&["config", "filter.box.smudge", "sed 's/^boxed //'"]);
    site.git(&["config", "filter.box.required", "true"]);
    site.write(
        ".gitattributes",
        "*.dat filter=box\ndos.txt text eol=crlf\nwide.txt text working-tree-encoding=UTF-16LE-BOM\n",
    );
    site.write("base.dat", "plain base\n");
    site.write("dos.txt", "one\r\ntwo\r\n");
    let wide: Vec<u8> = [0xff, 0xfe, b'a', 0, b'\n', 0].into();
    std::fs::write(site.repo.join("wide.txt"), &wide).unwrap();
    site.shell("add", "echo plain new > new.dat; grep -q '^plain' base.dat");
    site.shell("edit", "echo plain edited > base.dat");
    site.shell("dos", "printf 'three\\r\\n' >> dos.txt");
    site.shell("wide", "printf 'b\\000\\n\\000' >> wide.txt");
    site.commit("specs");
    all_landed(&site, &["run", "--parallel", "4"]);
    assert_eq!(site.read("new.dat"), "plain new\n");
    assert_eq!(site.read("base.dat"), "plain edited\n");
    assert_eq!(
        site.git(&["cat-file", "blob", "main:base.dat"]),
        "boxed plain edited\n"
    );
    assert_eq!(site.read("dos.txt"), "one\r\ntwo\r\nthree\r\n");
    assert_eq!(
        site.git(&["cat-file", "blob", "main:dos.txt"]),
        "one\ntwo\nthree\n"
    );
    assert_eq!(site.git(&["cat-file", "blob", "main:wide.txt"]), "a\nb\n");
    let now = std::fs::read(site.repo.join("wide.txt")).unwrap();
    assert_eq!(now, [wide, vec![b'b', 0, b'\n', 0]].concat());
    site.assert_no_litter();
}

#[test]
fn a_filter_that_is_missing_is_told_before_anybody_is_called() {
    let site = Site::new();
    site.shell_config("");
    site.write(".gitattributes", "*.dat filter=box\n");
    site.write("base.dat", "plain\n");
    site.shell("a", "echo plain > new.dat");
    site.commit("specs");
    site.git(&["config", "filter.box.smudge", "no-such-program-here"]);
    site.git(&["config", "filter.box.clean", "no-such-program-here"]);
    site.git(&["config", "filter.box.required", "true"]);
    let ran = site.harness(&["run"]);
    assert_ne!(ran.code, Some(0), "{}", ran.err);
    assert!(
        told(&ran).contains("no-such-program-here"),
        "{}",
        told(&ran)
    );
    assert!(!told(&ran).contains("#1 started"), "{}", told(&ran));
}

fn told(ran: &Ran) -> String {
    format!("{}{}", ran.out, ran.err)
}

#[test]
fn merge_drivers_of_the_attributes_are_obeyed() {
    let site = Site::new();
    site.shell_config("");
    site.git(&["config", "merge.broken.driver", "exit 1"]);
    site.write(
        ".gitattributes",
        "LOG merge=union\n*.bin binary\nodd merge=broken\n",
    );
    site.write("LOG", "base\n");
    site.write("odd", "1\n2\n3\n4\n5\n");
    std::fs::write(site.repo.join("a.bin"), [0, 1]).unwrap();
    let meet = |own: &str, other: &str| {
        format!(
            "touch '{}'; while [ ! -e '{}' ]; do sleep 0.01; done\n",
            site.path(own).display(),
            site.path(other).display()
        )
    };
    for (own, other, line) in [("a", "b", "1"), ("b", "a", "5")] {
        let text = format!(
            "{}if [ \"$HARNESS_ITERATION\" = 1 ]; then echo {own} >> LOG; printf '\\000{own}' > a.bin; \
             sed -i 's/^{line}$/{own}/' odd\n\
             else grep -q 'a.bin: binary' .harness/prompt; grep -q 'odd: ' .harness/prompt; \
             printf '\\000ab' > a.bin; printf 'a\\n2\\n3\\n4\\nb\\n' > odd; git add a.bin odd; fi",
            meet(own, other)
        );
        site.shell(own, &text);
    }
    site.commit("specs");
    all_landed(&site, &["run", "--parallel", "2"]);
    let clashed = clashes(&site);
    assert_eq!(clashed, ["[\"a.bin\",\"odd\"]"]);
    let log = site.read("LOG");
    assert!(
        log.contains("a\n") && log.contains("b\n") && !log.contains('<'),
        "{log}"
    );
    assert_eq!(site.read("odd"), "a\n2\n3\n4\nb\n");
    site.assert_no_litter();
}

/// As `git worktree add` does it: whoever made the checkout sparse wants no other one to be whole.
#[test]
fn a_sparse_checkout_is_handed_on_and_loses_nothing() {
    let site = Site::new();
    site.shell_config("verify: {commands: ['[ ! -e docs/base ] && [ -e src/base ]']}");
    site.write("docs/base", "base\n");
    site.write("src/base", "base\n");
    site.shell("a", "echo a > src/a; mkdir -p docs; echo a > docs/a");
    site.commit("specs");
    site.git(&["sparse-checkout", "set", "src", "specs"]);
    all_landed(&site, &["run"]);
    assert!(!site.repo.join("docs").exists());
    assert_eq!(site.read("src/a"), "a\n");
    for name in ["a", "base"] {
        assert!(!site.git(&["show", &format!("main:docs/{name}")]).is_empty());
    }
    site.assert_no_litter();
}
