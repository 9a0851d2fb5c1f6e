//! Jobs that end with the last process of their tree.

use super::*;

#[test]
fn all_that_was_started_is_awaited_where_that_is_asked_for_but_not_for_ever() {
    let bench = Bench::new();
    // Longer than what is left over is given otherwise.
    let later = "sleep 0.3; echo told >later";
    let job = Job {
        awaits_all: true,
        ..bench.job(&format!("({later}) & exit 3"))
    };
    let finished = finish(job);
    assert_eq!(finished.ending, Ending::Exited { code: 3 });
    assert_eq!(finished.leftovers, 0);
    assert!(bench.path("later").exists());
    let job = Job {
        awaits_all: true,
        timeout: Duration::from_millis(200),
        ..bench.job("(while :; do sleep 1000; done) & echo $! >pid")
    };
    assert_eq!(finish(job).ending, Ending::TimedOut);
    assert!(!alive(bench.noted_pid("pid"), None, None));
}

#[test]
fn what_is_awaited_has_as_long_to_say_goodbye_as_the_direct_child() {
    let bench = Bench::new();
    // Longer than what is left over is given otherwise.
    let farewell = "trap \"\" TERM; sleep 0.6; echo bye >bye; exit";
    let waits = format!("trap '{farewell}' TERM; echo ready; while :; do sleep 0.01; done");
    fs::write(bench.path("waits"), waits).unwrap();
    // The second has left the group.
    for way in ["sh", "setsid sh"] {
        let job = Job {
            awaits_all: true,
            ..bench.job(&format!("rm -f bye; {way} waits & exit 0"))
        };
        let finished = stop_when_ready(job);
        assert_eq!(finished.ending, Ending::Stopped, "{way}");
        assert!(bench.path("bye").exists(), "{way}");
        assert_eq!(finished.leftovers, 0, "{way}");
    }
}
