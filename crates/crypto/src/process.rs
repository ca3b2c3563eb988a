//! What a process does before it reads its first key.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// The kernel refused to make the process private. Nothing secret should be read after this.
#[derive(Debug, thiserror::Error)]
#[error("the process can't be protected from memory dumps ({step}): {cause}")]
pub struct HardenError {
    /// The step that failed.
    step: &'static str,
    /// What the kernel said.
    #[source]
    cause: std::io::Error,
}

/// Forbids core dumps and attaching by other processes of the same user, for this process and what it forks.
///
/// `PR_SET_DUMPABLE` 0 keeps other processes without `CAP_SYS_PTRACE` from reading `/proc/PID/mem` and the kernel from
/// writing a core, also to a pipe, for which `RLIMIT_CORE` alone is not enough; `RLIMIT_CORE` 0, soft and hard, holds
/// in children too, where `execve` resets the first. The files of `/proc/PID` belong to root from here on; a process
/// still reaches its own `/proc/self/fd`.
///
/// # Errors
/// When the kernel refuses either, as some sandboxes do.
pub fn harden_process() -> Result<(), HardenError> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
        .map_err(|e| HardenError { step: "RLIMIT_CORE", cause: e.into() })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|e| HardenError { step: "PR_SET_DUMPABLE", cause: e.into() })
}
