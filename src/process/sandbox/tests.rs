//! What a policy comes to, in the words of each sandbox. Whether it holds is tested with the real ones elsewhere.

use super::*;
use std::fs;

/// A directory with some places, its path without links.
fn places(names: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    for name in names {
        match name.strip_suffix('/') {
            Some(name) => fs::create_dir_all(root.join(name)).unwrap(),
            None => {
                fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
                fs::write(root.join(name), "").unwrap();
            }
        }
    }
    (dir, root)
}

#[test]
fn what_is_deeper_is_mounted_later() {
    let (_dir, root) = places(&[
        "home/.ssh/",
        "home/.netrc",
        "home/.claude/settings.json",
        "pool/w1/",
    ]);
    let at = |name: &str| root.join(name);
    let policy = Policy {
        write: vec![at("home/.claude"), at("nowhere")],
        read: vec![at("home/.claude/settings.json")],
        hide: vec![
            at("home/.ssh"),
            at("pool"),
            at("home/.netrc"),
            at("home/.claude"),
        ],
        stand_ins: vec![(at("pool/w1"), at("pool/work"))],
        cwd: at("pool/work"),
        network: false,
        ..Policy::default()
    };
    let args: Vec<String> = bwrap::args(&policy)
        .iter()
        .map(|arg| arg.to_string_lossy().replace(&*root.to_string_lossy(), "@"))
        .collect();
    let text = args.join(" ");
    assert!(text.contains("--unshare-net"), "{text}");
    let ours = &text[text.find("--tmpfs @").unwrap()..];
    let lines = [
        "--tmpfs @/pool",
        "--tmpfs @/home/.claude",
        "--tmpfs @/home/.ssh",
        "--ro-bind /dev/null @/home/.netrc",
        "--bind @/home/.claude @/home/.claude",
        "--bind @/pool/w1 @/pool/work",
        "--ro-bind @/home/.claude/settings.json @/home/.claude/settings.json",
        "--chdir @/pool/work",
    ];
    let at: Vec<Option<usize>> = lines.iter().map(|line| ours.find(line)).collect();
    assert!(at.iter().all(Option::is_some), "{ours}\n{at:?}");
    assert!(
        at[1] < at[4] && at[0] < at[5] && at[4] < at[6] && at[6] < at[7],
        "{ours}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_hidden_is_left_out_of_what_may_be_read() {
    use super::rules::{Rule, all};
    let (_dir, root) = places(&[
        "home/.ssh/key",
        "home/code/",
        "home/.netrc",
        "home/.profile",
        "pool/w1/",
    ]);
    std::os::unix::fs::symlink(root.join("home/.ssh"), root.join("home/link")).unwrap();
    let at = |name: &str| root.join(name);
    let policy = Policy {
        write: vec![at("pool/w1")],
        hide: vec![at("home/.ssh"), at("home/.netrc"), at("pool")],
        ..Policy::default()
    };
    let told: Vec<String> = all(&policy)
        .unwrap()
        .iter()
        .map(|rule| rule.encode().to_string_lossy().into_owned())
        .filter(|rule| rule.contains(&*root.to_string_lossy()) || rule.len() == 2)
        .map(|rule| rule.replace(&*root.to_string_lossy(), "@"))
        .collect();
    assert_eq!(
        told,
        ["l/", "r@/home/.profile", "r@/home/code", "w@/pool/w1"]
    );
    for rule in all(&policy).unwrap() {
        assert_eq!(Rule::decode(&rule.encode()), Some(rule));
    }
    for text in ["", "x/etc"] {
        assert_eq!(Rule::decode(OsStr::new(text)), None, "{text}");
    }
}

#[test]
fn a_link_that_a_job_planted_opens_nothing_to_the_next() {
    let (_dir, root) = places(&[
        "home/.ssh/key",
        "home/.claude/",
        "home/.cache/",
        "home/own/",
    ]);
    let at = |name: &str| root.join(name);
    let links = [
        "home/.claude/commands",
        "home/.cache/tool",
        "home/.claude/deep",
    ];
    for link in links {
        std::os::unix::fs::symlink(at("home/.ssh"), at(link)).unwrap();
    }
    // One of the user's own, where no job can write, leads where it leads.
    std::os::unix::fs::symlink(at("home/own"), at("home/link")).unwrap();
    let policy = Policy {
        write: vec![
            at("home/.claude"),
            at("home/.cache"),
            at("home/.cache/tool"),
            at("home/link"),
        ],
        read: vec![at("home/.claude/commands"), at("home/.claude/deep/key")],
        hide: vec![at("home/.ssh")],
        ..Policy::default()
    };
    let home = at("home").display().to_string();
    let args = bwrap::args(&policy);
    let args: Vec<String> = args
        .iter()
        .map(|arg| arg.to_string_lossy().replace(&home, "~"))
        .collect();
    let text = args.join(" ");
    assert_eq!(text.matches("~/.ssh").count(), 1, "{text}");
    assert!(text.contains("--tmpfs ~/.ssh"), "{text}");
    assert!(text.contains("--bind ~/own ~/own"), "{text}");
    #[cfg(target_os = "linux")]
    for rule in rules::all(&policy).unwrap() {
        let rule = rule.encode();
        assert!(
            !rule.to_string_lossy().contains(".ssh"),
            "{}",
            rule.display()
        );
    }
}

#[test]
fn without_a_sandbox_a_command_is_what_it_was() {
    let wrapped = wrap(None, "/bin/echo".into(), &["a b".into()]).unwrap();
    assert_eq!(wrapped.program, Path::new("/bin/echo"));
    assert_eq!(wrapped.args, ["a b"]);
    assert_eq!(wrapped.order, [NONE]);
}
