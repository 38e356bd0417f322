//! `doctor`: looks at a whole set-up, before its first start or while it runs, and says how to mend
//! what is wrong. It changes nothing.
//!
//! Each check is a file: it gathers facts, and a plain function says what they come to.

use std::{collections::BTreeMap, future::Future, io::Write, path::PathBuf, time::Duration};

use tokio::{task, time::timeout};

use super::{World, client, progress::Progress, unit};
use crate::settings::{self, Flags, Loaded, Settings, Sources};

mod address;
mod agents;
mod configuration;
mod finding;
mod home;
mod inbox;
mod machine;
mod places;
mod processes;
mod reach;
mod service;
mod show;
mod store;
mod systemd;

use finding::{Finding, Report, Section};
use home::Told;

/// The environment file of a unit, in the home folder.
const SERVICE_ENVIRONMENT: &str = "service.env";

/// The longest time of a check that others wait for; there are two, one after the other.
const SHORT: Duration = Duration::from_secs(3);

/// The longest time of the others, which are made all at once.
const LONG: Duration = Duration::from_secs(8);

/// `doctor`
#[derive(clap::Args)]
#[command(after_help = "\
Exit codes: 0 no fault; 1 faults; 78 only the configuration is wrong;
65 only the store is of a newer version.

Examples:
  postroom doctor
  postroom doctor -f postroom.toml --online
  postroom doctor --json | jq '.checks[] | select(.grade == \"fault\")'")]
pub struct DoctorArgs {
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
    /// Also ask backends and peers on other machines
    #[arg(long)]
    pub online: bool,
    /// Folder of the systemd units
    #[arg(long, value_name = "DIR", default_value = "/etc/systemd/system")]
    pub systemd_dir: PathBuf,
    /// Name of the unit
    #[arg(long, value_name = "NAME", default_value = "postroom", value_parser = super::enable::unit_name)]
    pub service_name: String,
    /// The flags of `serve`.
    #[command(flatten)]
    pub flags: Flags,
}

/// Looks, prints, and gives 0 where there is no fault.
pub(super) fn run(
    args: DoctorArgs,
    world: &World,
    sources: impl FnOnce(Flags) -> Sources,
    output: &mut dyn Write,
) -> anyhow::Result<u8> {
    let DoctorArgs {
        json,
        online: is_online,
        systemd_dir,
        service_name,
        flags,
    } = args;
    let set_up = SetUp {
        wants_manager: flags.cli.is_some(),
        sources: sources(flags),
        unit: systemd_dir.join(format!("{service_name}.service")),
        unit_name: service_name,
        is_online,
        world,
    };
    let progress = Progress::begin(world, "looking at the set-up");
    let report = client::block_on_briefly(set_up.examine())?;
    drop(progress);
    if json {
        writeln!(output, "{:#}", show::json(&report, is_online))?;
    } else {
        write!(output, "{}", show::text(&report, world.paint()))?;
    }
    Ok(report.exit_code())
}

/// What is looked at.
struct SetUp<'a> {
    sources: Sources,
    unit: PathBuf,
    unit_name: String,
    is_online: bool,
    wants_manager: bool,
    world: &'a World,
}

impl SetUp<'_> {
    async fn examine(&self) -> anyhow::Result<Report> {
        let home = match settings::home(&self.sources) {
            Ok(home) => home,
            Err(error) => return Ok(Report::of(configuration::refused(&error))),
        };
        let looked = home.clone();
        let at_home = in_background(SHORT, move || home::Facts::look(&looked)).await;
        let told = at_home
            .as_ref()
            .map_or(Told::Nothing, |facts| facts.told.clone());
        let mut findings = match &at_home {
            Some(facts) => home::findings(&home, facts),
            None => vec![hangs(Section::Home)],
        };
        let user = self
            .world
            .variable("USER")
            .or_else(|| self.world.variable("LOGNAME"));
        let unit = systemd::Facts::look(&self.unit, &self.unit_name, user);
        let (unit, service) = tokio::join!(unit, within(SHORT, service::Facts::ask(&home)));
        findings.extend(systemd::findings(unit.as_ref()));
        let service =
            service.unwrap_or_else(|| service::Facts::NoAnswer("it does not answer".to_owned()));
        findings.extend(service::findings(&service, self.world.now));
        match settings::load_with_sources(self.sources.clone()) {
            Ok(loaded) => {
                let has_daemon = unit.as_ref().is_some_and(systemd::Facts::is_daemon);
                let around = Around {
                    told,
                    runs: service.runs(),
                    commands: service.commands(),
                    wants_manager: self.wants_manager || has_daemon,
                };
                findings.extend(Box::pin(self.configured(&loaded, &around)).await);
            }
            Err(error) => {
                findings.extend(configuration::refused(&error));
                findings.push(Finding::note(
                    Section::Configuration,
                    "skipped",
                    "store, inbox, address, agents, backends and peers were not looked at",
                ));
            }
        }
        Ok(Report::of(findings))
    }

    /// The checks that need a configuration, all at once.
    async fn configured(&self, loaded: &Loaded, around: &Around) -> Vec<Finding> {
        let settings = &loaded.settings;
        let mut findings =
            configuration::findings(&configuration::Facts::of(loaded, &self.sources));
        let environment = self.environment_of_service(settings, &around.told);
        let user_home = environment.iter().find(|(name, _)| name == "HOME");
        let user_home = user_home.map(|(_, value)| value.clone());
        let agents = agents::Facts::look(settings, &environment, around);
        let (store, inbox, address, agents, others, machine) = tokio::join!(
            look(settings, store::Facts::look),
            look(settings, |settings| inbox::Facts::look(
                &settings.mailbox.inbox
            )),
            look(settings, address::Facts::look),
            within(LONG, agents),
            within(LONG, reach::look(settings, self.is_online)),
            within(LONG, machine::Facts::look(around.pid(), user_home)),
        );
        let needs = machine::Needs {
            turns: u64::try_from(settings.agents.max_turns).unwrap_or(u64::MAX),
            turn_memory: agents.as_ref().map_or(0, agents::Facts::largest_turn),
            newest: store.as_ref().and_then(store::Facts::newest),
            now: self.world.now,
        };
        let inbox_path = &settings.mailbox.inbox;
        let all = [
            store.map_or_else(
                || vec![hangs(Section::Store)],
                |facts| store::findings(&facts, inbox_path, &around.told),
            ),
            inbox.map_or_else(
                || vec![hangs(Section::Inbox)],
                |facts| inbox::findings(&facts, around.runs),
            ),
            address.map_or_else(
                || vec![hangs(Section::Address)],
                |facts| address::findings(&facts, &around.told, self.world.now),
            ),
            agents.map_or_else(
                || vec![hangs(Section::Agents)],
                |facts| agents::findings(&facts),
            ),
            others.map_or_else(
                || vec![hangs(Section::Backends)],
                |others| reach::findings(&others),
            ),
            machine.map_or_else(
                || vec![hangs(Section::Machine)],
                |facts| machine::findings(&facts, &needs),
            ),
        ];
        findings.extend(all.into_iter().flatten());
        findings
    }

    /// What the service has: that of the running one, else that of its unit, else ours.
    fn environment_of_service(&self, settings: &Settings, told: &Told) -> Vec<(String, String)> {
        if let Told::Running { pid, .. } = told
            && let Some(running) = processes::environment(*pid)
        {
            return running;
        }
        let own = &self.world.environment;
        let file = settings.home.join(SERVICE_ENVIRONMENT);
        let Ok(text) = std::fs::read_to_string(file) else {
            return own.clone();
        };
        // What systemd itself sets for a unit with a user.
        let of_user = ["HOME", "USER", "LOGNAME", "SHELL", "LANG"];
        let of_user = own
            .iter()
            .filter(|(name, _)| of_user.contains(&name.as_str()));
        of_user.cloned().chain(unit::variables(&text)).collect()
    }
}

/// What was learned before.
struct Around {
    told: Told,
    runs: bool,
    /// What agents of the running service run, by agent.
    commands: BTreeMap<String, String>,
    wants_manager: bool,
}

impl Around {
    fn pid(&self) -> Option<u32> {
        match self.told {
            Told::Running { pid, .. } => Some(pid),
            _ => None,
        }
    }
}

/// Gathers facts on a thread that may wait for a disk; `None` where it waits too long.
async fn in_background<T: Send + 'static>(
    limit: Duration,
    gather: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    within(limit, task::spawn_blocking(gather)).await?.ok()
}

async fn look<T: Send + 'static>(
    settings: &Settings,
    gather: impl FnOnce(&Settings) -> T + Send + 'static,
) -> Option<T> {
    let settings = settings.clone();
    in_background(LONG, move || gather(&settings)).await
}

async fn within<T>(limit: Duration, facts: impl Future<Output = T>) -> Option<T> {
    timeout(limit, facts).await.ok()
}

/// A check that did not come to an end.
fn hangs(section: Section) -> Finding {
    Finding::fault(section, "time", "this could not be looked at in time")
        .mend("a disk or the machine hangs: look at `dmesg`, at mounts and at the load")
}
