//! Two features change the same place, in every way git knows: what git can merge lands without another call, and
//! what it cannot comes to the younger one by name and kind, and lands as that one resolves it.

#![cfg(feature = "fake-agent")]

mod support;

use std::fmt::Write as _;
use support::Site;

/// A place that two features change. All texts are `sh`, run at the root of a checkout.
struct Case {
    name: &'static str,
    /// Before either begins.
    base: &'static str,
    /// What lands first.
    first: &'static str,
    /// What the other one does, from the same base.
    second: &'static str,
    /// What its prompt says of the conflict; empty where git merges by itself.
    told: &'static str,
    /// How it resolves that.
    resolve: &'static str,
    /// Holds in the user's checkout in the end.
    check: &'static str,
}

const CASES: &[Case] = &[
    Case {
        name: "edit-deleted",
        base: "echo base > del-1",
        first: "git rm -q del-1",
        second: "echo mine > del-1",
        told: "del-1: you changed it, what landed deleted it",
        resolve: "git add del-1",
        check: "[ \"$(cat del-1)\" = mine ]",
    },
    Case {
        name: "delete-edited",
        base: "echo base > del-2",
        first: "echo theirs > del-2",
        second: "git rm -q del-2",
        told: "del-2: you deleted it, what landed changed it",
        resolve: "git add del-2",
        check: "[ \"$(cat del-2)\" = theirs ]",
    },
    Case {
        name: "both-delete",
        base: "echo base > del-3",
        first: "git rm -q del-3",
        second: "git rm -q del-3; echo mine > del-3-mine",
        told: "",
        resolve: "",
        check: "[ ! -e del-3 ] && [ -e del-3-mine ]",
    },
    Case {
        name: "rename-rename",
        base: "seq 100 119 > ren-1",
        first: "git mv ren-1 ren-1-theirs",
        second: "git mv ren-1 ren-1-mine",
        told: "ren-1-mine: renamed, or a file here and a directory there",
        resolve: "git rm -q --ignore-unmatch ren-1 ren-1-mine; git add ren-1-theirs",
        check: "[ \"$(ls ren-1*)\" = ren-1-theirs ] && [ \"$(wc -l < ren-1-theirs)\" = 20 ]",
    },
    Case {
        name: "same-rename",
        base: "seq 200 219 > ren-2",
        first: "git mv ren-2 ren-2-new; sed -i s/^200$/first/ ren-2-new",
        second: "git mv ren-2 ren-2-new; sed -i s/^219$/last/ ren-2-new",
        told: "",
        resolve: "",
        check: "[ ! -e ren-2 ] && grep -q first ren-2-new && grep -q last ren-2-new",
    },
    Case {
        name: "edit-renamed",
        base: "seq 300 319 > ren-3",
        first: "mkdir ren; git mv ren-3 ren/3",
        second: "sed -i s/^307$/seven/ ren-3",
        told: "",
        resolve: "",
        check: "[ ! -e ren-3 ] && grep -q seven ren/3",
    },
    Case {
        name: "rename-deleted",
        base: "seq 400 419 > ren-4",
        first: "git rm -q ren-4",
        second: "git mv ren-4 ren-4-mine",
        told: "ren-4-mine: ",
        resolve: "git add ren-4-mine",
        check: "[ -e ren-4-mine ] && [ ! -e ren-4 ]",
    },
    Case {
        name: "two-to-one",
        base: "seq 500 519 > ren-5; seq 600 620 > ren-6",
        first: "git mv ren-5 one",
        second: "git mv ren-6 one",
        told: "one: both added it",
        resolve: "git show HEAD:one > one-mine; git show MERGE_HEAD:one > one; git add one one-mine",
        check: "[ \"$(wc -l < one)\" = 20 ] && [ \"$(wc -l < one-mine)\" = 21 ]",
    },
    Case {
        name: "file-on-directory",
        base: "",
        first: "mkdir place-1; echo theirs > place-1/in",
        second: "echo mine > place-1",
        told: "a file here and a directory there",
        resolve: "git rm -q --cached -- place-1~*; rm -f -- place-1~*; echo mine > place-1-mine; git add place-1 place-1-mine",
        check: "[ -e place-1/in ] && [ -e place-1-mine ] && [ \"$(ls -d place-1*)\" = \"place-1\nplace-1-mine\" ]",
    },
    Case {
        name: "directory-on-file",
        base: "",
        first: "echo theirs > place-2",
        second: "mkdir place-2; echo mine > place-2/in",
        told: "a file here and a directory there",
        resolve: "git rm -q --cached --ignore-unmatch -r -- place-2~*; rm -rf -- place-2~*; \
                  echo theirs > place-2-theirs; git add place-2-theirs place-2",
        check: "[ -e place-2/in ] && [ -e place-2-theirs ] && [ ! -f place-2 ]",
    },
    Case {
        name: "edit-linked",
        base: "echo base > link-1",
        first: "ln -sf README link-1",
        second: "echo mine > link-1",
        told: "link-1",
        resolve: "git rm -q --cached --ignore-unmatch -- link-1~*; rm -f -- link-1~*; echo mine > link-1-mine; \
                  ln -sfn README link-1; git add -A .",
        check: "[ -L link-1 ] && [ \"$(cat link-1-mine)\" = mine ]",
    },
    Case {
        name: "two-links",
        base: "ln -s README link-2",
        first: "ln -sfn specs link-2",
        second: "ln -sfn nowhere link-2",
        told: "link-2: both point the link elsewhere",
        resolve: "ln -sfn specs link-2; git add link-2",
        check: "[ \"$(readlink link-2)\" = specs ]",
    },
    Case {
        name: "mode-edit",
        base: "echo base > mode-1",
        first: "chmod +x mode-1",
        second: "echo mine > mode-1",
        told: "",
        resolve: "",
        check: "[ -x mode-1 ] && [ \"$(cat mode-1)\" = mine ]",
    },
    Case {
        name: "both-add-modes",
        base: "",
        first: "echo same > mode-2; chmod +x mode-2",
        second: "echo same > mode-2",
        told: "mode-2: the same text, executable on one side only",
        resolve: "chmod +x mode-2; git add mode-2",
        check: "[ -x mode-2 ] && [ \"$(cat mode-2)\" = same ]",
    },
    Case {
        name: "same-change",
        base: "echo base > same",
        first: "echo changed > same",
        second: "echo changed > same; echo mine > same-mine",
        told: "",
        resolve: "",
        check: "[ \"$(cat same)\" = changed ] && [ -e same-mine ]",
    },
    Case {
        name: "empty-added",
        base: "",
        first: ": > hollow",
        second: "echo mine > hollow",
        told: "",
        resolve: "",
        check: "[ \"$(cat hollow)\" = mine ]",
    },
    Case {
        name: "odd-names",
        base: "",
        first: "for n in \"$(printf 'new\\nline')\" \"$(printf 'raw\\377')\" -rf '*'; do echo theirs > ./\"$n\"; done",
        second: "for n in \"$(printf 'new\\nline')\" \"$(printf 'raw\\377')\" -rf '*'; do echo mine > ./\"$n\"; done",
        told: "-rf: both added it",
        resolve: "for n in \"$(printf 'new\\nline')\" \"$(printf 'raw\\377')\" -rf '*'; do \
                  printf 'theirs\\nmine\\n' > ./\"$n\"; git --literal-pathspecs add -- ./\"$n\"; done",
        check: "for n in \"$(printf 'new\\nline')\" \"$(printf 'raw\\377')\" -rf '*'; do \
                [ \"$(wc -l < ./\"$n\")\" = 2 ] || exit 1; done",
    },
    Case {
        name: "case-rename",
        base: "seq 700 719 > Upper",
        first: "git mv Upper upper",
        second: "sed -i s/^707$/seven/ Upper",
        told: "",
        resolve: "",
        check: "[ ! -e Upper ] && grep -q seven upper",
    },
    Case {
        name: "line-ends",
        base: "echo 'dos text eol=crlf' >> .gitattributes; printf '1\\r\\n2\\r\\n' > dos",
        first: "printf '1\\r\\ntheirs\\r\\n' > dos",
        second: "printf '1\\r\\nmine\\r\\n' > dos",
        told: "dos: both changed the same lines",
        resolve: "grep -q '<<<<<<<' dos; printf '1\\r\\ntheirs\\r\\nmine\\r\\n' > dos; git add dos",
        check: "[ \"$(tr -d '\\r' < dos | tr '\\n' ' ')\" = '1 theirs mine ' ] && grep -q \"$(printf '\\r')\" dos",
    },
    Case {
        name: "encoded",
        base: "echo 'wide text working-tree-encoding=UTF-16LE-BOM' >> .gitattributes; \
               printf 'base\\n' | iconv -t UTF-16LE | { printf '\\377\\376'; cat; } > wide",
        first: "printf 'theirs\\n' | iconv -t UTF-16LE | { printf '\\377\\376'; cat; } > wide",
        second: "printf 'mine\\n' | iconv -t UTF-16LE | { printf '\\377\\376'; cat; } > wide",
        told: "wide: both changed the same lines",
        resolve: "printf 'theirs\\nmine\\n' | iconv -t UTF-16LE | { printf '\\377\\376'; cat; } > wide; git add wide",
        check: "[ \"$(git show HEAD:wide)\" = \"theirs\nmine\" ]",
    },
    Case {
        name: "filtered",
        base: "echo '*.dat filter=box' >> .gitattributes; echo plain base > f.dat",
        first: "echo plain theirs > f.dat",
        second: "echo plain mine > f.dat",
        told: "f.dat: both changed the same lines",
        resolve: "printf 'plain theirs\\nplain mine\\n' > f.dat; git add f.dat",
        check: "[ \"$(git show HEAD:f.dat)\" = \"boxed plain theirs\nboxed plain mine\" ] && \
                [ \"$(cat f.dat)\" = \"plain theirs\nplain mine\" ]",
    },
    Case {
        name: "attributes-land",
        base: "echo base > grows.log",
        first: "echo theirs >> grows.log; echo '*.log merge=union' > sub.attributes",
        second: "echo mine >> grows.log",
        told: "grows.log: both changed the same lines",
        resolve: "printf 'base\\ntheirs\\nmine\\n' > grows.log; git add grows.log",
        check: "[ \"$(wc -l < grows.log)\" = 3 ]",
    },
];

/// What runs in a case's own iteration: waits for the first one, then acts; resolves when it is called again.
fn second(site: &Site, case: &Case) -> String {
    let mut text = format!(
        "if [ \"$HARNESS_ITERATION\" = 1 ]; then\ntouch '{}'; while [ ! -e '{}' ]; do sleep 0.02; done\n{}\nelse\n",
        site.path(case.name).display(),
        site.repo.join(".harness/first.done").display(),
        case.second
    );
    if case.told.is_empty() {
        text.push_str("echo 'called again'; exit 9\nfi\n");
    } else {
        let _ = writeln!(
            text,
            "grep -qF -e '{}' .harness/prompt || {{ cat .harness/prompt > '{}'; exit 9; }}\n{}\nfi",
            case.told,
            site.path("untold").with_extension(case.name).display(),
            case.resolve
        );
    }
    text
}

#[test]
fn every_kind_of_clash_is_merged_or_told_and_resolved() {
    let site = Site::new();
    site.shell_config("run: {max_iterations_per_feature: 3}");
    site.git(&["config", "filter.box.clean", "sed 's/^/boxed /'"]);
    site.git(&["config", "filter.box.smudge", "sed 's/^boxed //'"]);
    site.git(&["config", "filter.box.required", "true"]);
    let sh = |text: &str| {
        let ran = std::process::Command::new("sh")
            .args(["-ec", text])
            .current_dir(&site.repo)
            .output();
        ran.is_ok_and(|ran| ran.status.success())
    };
    let mut first = String::new();
    for case in CASES {
        let begun = site.path(case.name);
        let _ = writeln!(
            first,
            "while [ ! -e '{}' ]; do sleep 0.02; done",
            begun.display()
        );
    }
    for case in CASES {
        assert!(sh(case.base), "{}", case.name);
        let _ = writeln!(first, "{}", case.first);
        site.shell(case.name, &second(&site, case));
    }
    site.shell("first", &first);
    site.commit("specs");
    let parallel = (CASES.len() + 1).to_string();
    let ran = site.harness(&["run", "--parallel", &parallel]);
    let untold =
        |case: &Case| std::fs::read_to_string(site.path("untold").with_extension(case.name));
    let untold: Vec<String> = CASES.iter().filter_map(|case| untold(case).ok()).collect();
    assert_eq!(
        ran.code,
        Some(0),
        "{}\n{}\n{}",
        ran.err,
        ran.out,
        untold.join("\n")
    );
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.err, ran.out);
    let mut wrong = String::new();
    let clashed: Vec<String> = (site.journal().iter())
        .filter(|event| event["event"] == "clashed")
        .filter_map(|event| event["slug"].as_str().map(str::to_owned))
        .collect();
    for case in CASES {
        let count = clashed.iter().filter(|slug| *slug == case.name).count();
        if count != usize::from(!case.told.is_empty()) {
            let _ = writeln!(wrong, "{}: in conflict {count} times", case.name);
        }
        if !sh(case.check) {
            let _ = writeln!(wrong, "{}: not so: {}", case.name, case.check);
        }
    }
    assert!(wrong.is_empty(), "{wrong}{}", ran.err);
    site.git(&["fsck", "--strict", "--no-dangling"]);
    site.assert_no_litter();
}
