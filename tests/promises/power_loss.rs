//! Power loss: everything acknowledged is on the disk, whenever the power fails.
//!
//! A kill does not show it, because the page cache survives the process. So a run of the use cases is recorded with strace:
//! each write and sync of its files, and each acknowledgement. From the record a disk is rebuilt that has lost everything not
//! yet synced, at many points of the run; the store is opened on it, and must contain every grant, event, outcome, erasure,
//! activation and change of the catalogue that was acknowledged before that point.
//!
//! Without strace the test is skipped, with a notice. `TACTFUL_LONG=1` runs longer, tries every point, and disks that kept some
//! of the writes that were not synced.
//!
//! Broken by: leaving out `sync_data` in the committer; a file `conf` of sled, without which nothing can be opened, that is never
//! synced.

mod recording;
mod simulated_disk;
mod verification;
mod workload;

use std::path::Path;
use std::process::Command;

use crate::support::long_form::short_or_long;
use recording::{Recording, Step};
use simulated_disk::{SimulatedDisk, UnsyncedWrites};
use verification::Acknowledged;

/// Number of points at which the power fails in the short form.
const POINTS: usize = 24;
/// Number of syncs with which a store is created; the simulation is checked by leaving out all others.
const CREATION_SYNCS: u64 = 6;
/// Number of disks with some of the unsynced writes for each point, in the long form.
const TORN_DISKS: u64 = 3;

/// System calls that change files or make changes durable.
const TRACED: &str = "trace=openat,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,rmdir,write,pwrite64,\
                      writev,pwritev,pwritev2,lseek,ftruncate,truncate,fallocate,fsync,fdatasync,close,dup,dup2,fcntl,\
                      sendfile,copy_file_range,mmap";

#[test]
fn a_power_loss_loses_nothing_that_was_acknowledged() {
    let may_trace = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    if !may_trace.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: strace is not installed (apt-get install strace), or may not trace");
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path().canonicalize().expect("it exists");
    let trace = root.join("trace");
    record(&root, &trace);
    let recording = Recording::read(&trace, &root);
    let syncs = recording.syncs();
    assert!(syncs > 20, "only {syncs} syncs were recorded: strace may not see them");
    let unsynced = missing_without_syncs(&recording, &root);
    assert!(!unsynced.is_empty(), "the simulated disk loses nothing, although nothing is synced");
    let points = short_or_long(POINTS, usize::MAX).min(syncs);
    let torn_disks = short_or_long(0, TORN_DISKS);
    let mut disk = SimulatedDisk::new(&root.join(workload::DATA));
    let mut acknowledged = Acknowledged::default();
    let mut ended = 0;
    for step in recording.steps() {
        if matches!(step, Step::EndSync { .. }) {
            // Just before a sync ends, the most has been acknowledged that rests on the syncs before it.
            if ended * points / syncs != (ended + 1) * points / syncs {
                check(&disk, UnsyncedWrites::Lost, &acknowledged, &format!("after {ended} syncs"));
                for seed in 0..torn_disks {
                    let kept = UnsyncedWrites::SomeKept { seed: seed ^ ((ended as u64) << 8) };
                    let point = format!("after {ended} syncs, with some later writes ({seed})");
                    check(&disk, kept, &acknowledged, &point);
                }
            }
            ended += 1;
        }
        disk.apply(step);
        acknowledged.apply(step);
    }
    check(&disk, UnsyncedWrites::Lost, &acknowledged, "at the end");
}

/// Returns what is found missing at the end of a run whose syncs, but for the first, had no effect: a check of the simulation.
fn missing_without_syncs(recording: &Recording, root: &Path) -> Vec<String> {
    let mut disk = SimulatedDisk::new(&root.join(workload::DATA));
    let mut acknowledged = Acknowledged::default();
    for step in recording.steps() {
        let is_without_effect =
            matches!(step, Step::StartSync { id, .. } | Step::EndSync { id, .. } if *id > CREATION_SYNCS);
        if !is_without_effect {
            disk.apply(step);
        }
        acknowledged.apply(step);
    }
    missing_in(&disk, UnsyncedWrites::Lost, &acknowledged)
}

/// Runs the workload in a process of its own under strace.
fn record(root: &Path, trace: &Path) {
    let recorded = Command::new("strace")
        .args(["-f", "-xx", "-s", "33554432", "-e", "signal=none", "-e", TRACED, "-o"])
        .arg(trace)
        .arg(std::env::current_exe().expect("the path of this test"))
        .args(["power_loss::workload::run", "--exact", "--ignored", "--nocapture"])
        .env(workload::DIRECTORY, root)
        .output()
        .expect("strace runs");
    let printed = String::from_utf8_lossy(&recorded.stderr);
    assert!(recorded.status.success(), "{printed}\n{}", String::from_utf8_lossy(&recorded.stdout));
}

fn check(disk: &SimulatedDisk, unsynced: UnsyncedWrites, acknowledged: &Acknowledged, point: &str) {
    let missing = missing_in(disk, unsynced, acknowledged);
    assert!(missing.is_empty(), "lost {point}: {}", missing.join("; "));
}

/// Opens the store on the disk as it is after a power loss, and returns what is missing.
fn missing_in(disk: &SimulatedDisk, unsynced: UnsyncedWrites, acknowledged: &Acknowledged) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join(workload::DATA);
    disk.write_to(&data, unsynced);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(acknowledged.missing_in(&data))
}
