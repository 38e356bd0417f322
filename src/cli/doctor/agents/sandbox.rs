//! What the kernel offers to a CLI's sandbox.

use std::fs;

use super::super::finding::{Finding, Section};

/// What sandboxes are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Kernel {
    /// A plain user may have namespaces of its own.
    pub(super) has_namespaces: bool,
    /// `AppArmor` lets only programs with a profile of their own have them.
    pub(super) restricts_namespaces: bool,
    /// Landlock is among the security modules.
    pub(super) has_landlock: bool,
}

impl Kernel {
    pub(super) fn look() -> Self {
        let number = |name: &str| -> Option<u64> {
            fs::read_to_string(format!("/proc/sys/{name}"))
                .ok()?
                .trim()
                .parse()
                .ok()
        };
        let is_root = rustix::process::geteuid().is_root();
        let some_are_allowed = number("user/max_user_namespaces").is_none_or(|most| most > 0);
        let users_may = number("kernel/unprivileged_userns_clone").is_none_or(|switch| switch > 0);
        let apparmor = number("kernel/apparmor_restrict_unprivileged_userns");
        let modules = fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
        Self {
            has_namespaces: some_are_allowed && (is_root || users_may),
            restricts_namespaces: !is_root && apparmor.is_some_and(|switch| switch > 0),
            has_landlock: modules.trim().split(',').any(|module| module == "landlock"),
        }
    }

    /// Whether turns of a sandboxed agent can have their sandbox.
    pub(super) fn finding(self, agent: &str) -> Finding {
        const CHECK: &str = "sandbox";
        let mend = format!(
            "`sysctl -w user.max_user_namespaces=15000 kernel.unprivileged_userns_clone=1`; in a container, allow user namespaces; or set `permissions = \"bypass\"` in `[agents.{agent}]`"
        );
        if !self.has_namespaces && !self.has_landlock {
            let found = format!(
                "{agent}: is to be sandboxed, and this machine has neither user namespaces nor Landlock"
            );
            return Finding::fault(Section::Agents, CHECK, found).mend(mend);
        }
        if self.restricts_namespaces || !self.has_namespaces {
            let found = format!(
                "{agent}: is to be sandboxed, and this machine restricts user namespaces: its tools may fail"
            );
            return Finding::warning(Section::Agents, CHECK, found).mend(mend);
        }
        Finding::ok(
            Section::Agents,
            CHECK,
            format!("{agent}: its sandbox has what it needs of the kernel"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::finding::Grade, *};

    #[test]
    fn a_sandbox_needs_namespaces_or_landlock() {
        let grade = |has_namespaces, restricts_namespaces, has_landlock| {
            let kernel = Kernel {
                has_namespaces,
                restricts_namespaces,
                has_landlock,
            };
            kernel.finding("coder").grade
        };
        assert_eq!(grade(true, false, false), Grade::Ok);
        assert_eq!(grade(true, true, true), Grade::Warning);
        assert_eq!(grade(false, false, true), Grade::Warning);
        assert_eq!(grade(false, false, false), Grade::Fault);
    }
}
