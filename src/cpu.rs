//! Processor time of this process, for the table at the end of a run.
//!
//! The standard library has no `getrusage`, and the two numbers in `/proc` do not justify unsafe
//! code or a crate: they are known on Linux and nowhere else.

/// `/proc` counts in these parts of a second whatever the kernel's own clock is: `USER_HZ`, 100 on
/// every architecture that Rust's Linux targets have but Alpha and IA-64 of old.
const TICKS_A_SECOND: f64 = 100.0;

/// Seconds that all threads of this process have computed so far, in user and kernel mode.
pub fn process_seconds() -> Option<f64> {
    parse(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

/// Fields 14 and 15 of proc_pid_stat(5). The name in field 2 may hold spaces and parentheses, so
/// counting begins after the last one.
fn parse(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let kernel: u64 = fields.next()?.parse().ok()?;
    Some((user + kernel) as f64 / TICKS_A_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_kernel_time_are_added() {
        let stat = "42 (over) night) S 1 42 42 0 -1 4194560 900 0 0 0 250 75 3 4 20 0 1 0 9 8 7";
        assert_eq!(parse(stat), Some(3.25));
        assert_eq!(parse("42 (overnight) S 1 42"), None);
        assert_eq!(parse(""), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_knows_it() {
        assert!(process_seconds().is_some_and(|seconds| seconds >= 0.0));
    }
}
