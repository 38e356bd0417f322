//! Programs of the system that commands call: systemctl, sudo, install.

use std::{io, os::unix::fs::PermissionsExt, path::Path, process::Command};

/// Calls programs; tests put their own in its place.
pub(super) trait System {
    /// Whether a program is found in a list of folders such as `PATH`.
    fn has(&self, program: &str, path: &str) -> bool;

    /// Whether we are root.
    fn is_root(&self) -> bool;

    /// Runs a program to its end, on our terminal; whether it succeeded.
    fn call(&mut self, command: &[&str]) -> io::Result<bool>;
}

/// The real one.
pub(super) struct RealSystem;

impl System for RealSystem {
    fn has(&self, program: &str, path: &str) -> bool {
        let is_program = |file: &Path| {
            file.metadata()
                .is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
        };
        std::env::split_paths(path).any(|folder| is_program(&folder.join(program)))
    }

    fn is_root(&self) -> bool {
        rustix::process::geteuid().is_root()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "systemctl and sudo talk to the user of this command, which waits for them"
    )]
    fn call(&mut self, command: &[&str]) -> io::Result<bool> {
        let Some((program, arguments)) = command.split_first() else {
            return Ok(true);
        };
        Ok(Command::new(program).args(arguments).status()?.success())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Notes what it is asked to call.
    #[derive(Default)]
    pub(in crate::cli) struct Noted {
        pub(in crate::cli) has_systemd: bool,
        pub(in crate::cli) is_root: bool,
        pub(in crate::cli) fails: Option<&'static str>,
        pub(in crate::cli) calls: Vec<String>,
    }

    impl System for Noted {
        fn has(&self, _: &str, _: &str) -> bool {
            self.has_systemd
        }

        fn is_root(&self) -> bool {
            self.is_root
        }

        fn call(&mut self, command: &[&str]) -> io::Result<bool> {
            let call = command.join(" ");
            let fails = self.fails.is_some_and(|fails| call.contains(fails));
            self.calls.push(call);
            Ok(!fails)
        }
    }

    #[test]
    fn programs_are_found_as_the_shell_finds_them() {
        assert!(RealSystem.has("sh", "/nowhere:/bin"));
        assert!(!RealSystem.has("sh", "/nowhere"));
        assert!(!RealSystem.has("passwd", "/etc"));
    }

    #[test]
    fn a_call_tells_whether_it_succeeded() {
        assert!(RealSystem.call(&["true"]).unwrap());
        assert!(!RealSystem.call(&["false"]).unwrap());
        assert!(RealSystem.call(&["no-such-program-here"]).is_err());
    }
}
