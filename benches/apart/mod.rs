//! CPU pinning for `--apart`: servers on one core and their callers on another, by `taskset` of util-linux.

const SERVERS_CORE: &str = "0";
const CALLERS_CORE: &str = "1";

/// Starts a server on the servers' core: it inherits the affinity of this process, and has as many workers as it finds cores.
pub fn start<T>(start: impl FnOnce() -> T) -> T {
    if !std::env::args().any(|argument| argument == "--apart") {
        return start();
    }
    move_to(SERVERS_CORE);
    let started = start();
    move_to(CALLERS_CORE);
    started
}

/// Pins this process and the processes that it starts.
fn move_to(core: &str) {
    let this = std::process::id().to_string();
    let moved = std::process::Command::new("taskset").args(["-acp", core, &this]).output();
    assert!(moved.is_ok_and(|output| output.status.success()), "taskset of util-linux moves a process");
}
