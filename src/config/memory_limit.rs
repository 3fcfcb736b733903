//! Memory that this process may use: the limit of its container, or the memory of the machine.

use std::path::Path;

const CGROUPS: &str = "/sys/fs/cgroup";

/// Returns the memory that this process may use, in bytes; `None` where the system does not say.
pub(crate) fn memory_limit_bytes() -> Option<u64> {
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_bytes(&text));
    cgroup_limit_bytes(Path::new(CGROUPS), &own).into_iter().chain(machine).min()
}

/// Returns the lowest memory limit of the control groups in which this process is, of either version. `own` is the content of
/// `/proc/self/cgroup`: lines of an id, controllers (none in version 2) and a path. In a container of its own name space the
/// path is `/`, and without one the path may not exist below the mount; then the mount itself counts.
fn cgroup_limit_bytes(root: &Path, own: &str) -> Option<u64> {
    let mut limits = Vec::new();
    for line in own.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let (mount, file) = if controllers.is_empty() {
            (root.to_owned(), "memory.max")
        } else if controllers.split(',').any(|name| name == "memory") {
            (root.join("memory"), "memory.limit_in_bytes")
        } else {
            continue;
        };
        let group = mount.join(path.trim_start_matches('/'));
        let with_parents = group.ancestors().take_while(|group| group.starts_with(&mount));
        limits.extend(with_parents.filter_map(|group| limit_in(&group.join(file))));
    }
    limits.into_iter().min()
}

/// Reads a limit; `None` without one. Version 1 writes a huge number where there is no limit, which is never the lowest.
fn limit_in(file: &Path) -> Option<u64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn total_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the limit where these files exist.
    fn limit(files: &[(&str, &str)], own: &str) -> Option<u64> {
        let directory = tempfile::tempdir().expect("a directory");
        for (path, content) in files {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().expect("in the directory")).expect("a directory");
            std::fs::write(path, content).expect("a file");
        }
        cgroup_limit_bytes(directory.path(), own)
    }

    /// Broken by: reading the group of the process alone, or one version alone.
    #[test]
    fn the_lowest_limit_of_all_control_groups_counts() {
        let container = [("memory.max", "2147483648\n")];
        assert_eq!(limit(&container, "0::/\n"), Some(2 << 30), "the name space of a container");
        assert_eq!(limit(&container, "0::/kubepods/pod1/c1\n"), Some(2 << 30), "a path that is not mounted");
        let nested = [("a/memory.max", "1000\n"), ("a/b/memory.max", "max\n"), ("a/b/c/memory.max", "2000\n")];
        assert_eq!(limit(&nested, "0::/a/b/c\n"), Some(1000));
        assert_eq!(limit(&nested, "0::/other\n"), None);
        let version_1 = [
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/docker/1/memory.limit_in_bytes", "500\n"),
        ];
        assert_eq!(limit(&version_1, "4:cpu:/docker/1\n3:hugetlb,memory:/docker/1\n"), Some(500));
        assert_eq!(limit(&[], "0::/\n"), None);
        assert_eq!(limit(&container, "not a control group\n"), None);
    }

    #[test]
    fn memory_of_the_machine_is_read() {
        assert_eq!(total_bytes("MemFree: 1 kB\nMemTotal:       2048 kB\n"), Some(2 << 20));
        assert_eq!(total_bytes("MemTotal: much\n"), None);
    }
}
