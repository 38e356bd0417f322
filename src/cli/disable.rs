//! `disable`: systemd runs the service no more. The home folder stays as it is.

use std::{fs, io::Write};

use anyhow::Context;

use super::{World, enable::UnitArgs, exit, system::System};

/// Stops the service and removes its unit.
pub(super) fn run(
    args: &UnitArgs,
    world: &World,
    system: &mut dyn System,
    output: &mut dyn Write,
) -> anyhow::Result<u8> {
    let file = args.file();
    let shown = file.display().to_string();
    if !file.exists() {
        writeln!(output, "there is no {shown}")?;
        return Ok(exit::OK);
    }
    let has_systemd = UnitArgs::has_systemd(world, system);
    if has_systemd {
        args.call(
            system,
            &["systemctl", "disable", "--now", &args.service_name],
        )?;
    }
    if has_systemd && args.needs_sudo(system) {
        args.call(system, &["rm", "-f", "--", &shown])?;
    } else {
        fs::remove_file(&file).with_context(|| format!("cannot remove `{shown}`"))?;
    }
    if has_systemd {
        args.call(system, &["systemctl", "daemon-reload"])?;
    }
    let home = args.home.folder(world)?;
    writeln!(output, "removed: {shown}")?;
    writeln!(output, "kept: {}", home.display())?;
    Ok(exit::OK)
}
