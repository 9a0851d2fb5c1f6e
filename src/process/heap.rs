//! How the C library keeps the heap of this process.
//!
//! Rust and libgit2 both allocate through it. This file never allocates or frees anything itself.

/// Keeps one heap for all threads. glibc gives threads up to eight heaps for each processor and fills each of them to the
/// peak of whatever ran there: a night of short jobs on changing threads then holds several times the memory that it uses,
/// and more with every hour. To be called before the first thread begins. Does nothing with other C libraries.
pub fn keep_one_heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    one_arena();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "there is no safe call for it")]
fn one_arena() {
    // SAFETY: it sets a number in the allocator and touches no memory of ours. Where it is refused, nothing changes.
    let _ = unsafe { nix::libc::mallopt(nix::libc::M_ARENA_MAX, 1) };
}
