//! The cluster's own controllers, held still while the operator is measured: pods that nobody runs, endpoints and the
//! like would take the CPUs from both sides and blur the difference.

use std::process::Command;

/// The controller manager does not run while this lives.
pub struct Stillness {
    controller_manager: String,
}

impl Stillness {
    pub fn begin(controller_manager: String) -> Self {
        signal("STOP", &controller_manager);
        Self { controller_manager }
    }
}

impl Drop for Stillness {
    fn drop(&mut self) {
        signal("CONT", &self.controller_manager);
    }
}

/// By the shell's own kill: not every machine has the program.
fn signal(signal: &str, process: &str) {
    let sent = Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", signal, process]).status();
    assert!(sent.is_ok_and(|status| status.success()), "the controller manager (process {process}) takes signals");
}
