//! Who gets a request.
//!
//! Looked at in this order; the first that says something decides: the agent header, a model that
//! names an agent (`openclaw:<id>`, `openclaw/<id>`, `agent:<id>`), a model that is an agent's
//! name, `openclaw` and `openclaw/default`, and last the configured default.

use std::collections::BTreeSet;

use super::ids::AgentId;

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// The one unnamed inbox.
    Mailbox,
    /// An agent.
    Agent(AgentId),
}

/// The agents there are, and who gets what names nobody.
#[derive(Debug, Clone, Default)]
pub struct RoutingTable {
    /// Known agents.
    pub agents: BTreeSet<AgentId>,
    /// Who gets what names nobody; `None`: the mailbox.
    pub default: Option<AgentId>,
}

/// A request names an agent that does not exist. Holds the name, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownAgent(pub String);

impl RoutingTable {
    /// Decides by the agent header and the request's model.
    ///
    /// # Errors
    /// [`UnknownAgent`] where an agent is named that is not known. Without any agent only the
    /// header can name one: then every model is the mailbox's own.
    pub fn route(&self, header: Option<&str>, model: Option<&str>) -> Result<Route, UnknownAgent> {
        if let Some(name) = header.map(str::trim).filter(|name| !name.is_empty()) {
            return self.agent(name);
        }
        match model {
            Some(model) if !self.agents.is_empty() => self.by_model(model),
            _ => Ok(self.default_route()),
        }
    }

    fn by_model(&self, model: &str) -> Result<Route, UnknownAgent> {
        let model = model.to_ascii_lowercase();
        if model == "openclaw" || model == "openclaw/default" || model == "openclaw:default" {
            return Ok(self.default_route());
        }
        let named = ["openclaw:", "openclaw/", "agent:"]
            .iter()
            .find_map(|prefix| model.strip_prefix(prefix));
        match named {
            Some(name) => self.agent(name),
            None => Ok(self.known(&model).unwrap_or_else(|| self.default_route())),
        }
    }

    fn agent(&self, name: &str) -> Result<Route, UnknownAgent> {
        self.known(name)
            .ok_or_else(|| UnknownAgent(name.to_owned()))
    }

    fn known(&self, name: &str) -> Option<Route> {
        let id = AgentId::parse(&name.to_ascii_lowercase()).ok()?;
        self.agents.contains(&id).then_some(Route::Agent(id))
    }

    fn default_route(&self) -> Route {
        self.default.clone().map_or(Route::Mailbox, Route::Agent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(name: &str) -> AgentId {
        AgentId::parse(name).unwrap()
    }

    fn table() -> RoutingTable {
        RoutingTable {
            agents: ["manager", "engineer_alice"].map(agent).into(),
            default: Some(agent("manager")),
        }
    }

    #[test]
    fn without_agents_every_model_is_the_mailboxs_own() {
        let table = RoutingTable::default();
        for model in [
            None,
            Some("local-agent"),
            Some("openclaw:bob"),
            Some("gpt-x"),
        ] {
            assert_eq!(table.route(None, model), Ok(Route::Mailbox), "{model:?}");
        }
    }

    #[test]
    fn a_header_that_names_nobody_we_know_is_refused_by_name() {
        let refused = RoutingTable::default().route(Some("bob"), Some("local-agent"));
        assert_eq!(refused, Err(UnknownAgent("bob".to_owned())));
        assert_eq!(
            RoutingTable::default().route(Some("  "), None),
            Ok(Route::Mailbox)
        );
    }

    #[test]
    fn the_first_that_says_something_decides() {
        let alice = Ok(Route::Agent(agent("engineer_alice")));
        let manager = Ok(Route::Agent(agent("manager")));
        for (header, model, expected) in [
            (Some("engineer_alice"), Some("manager"), &alice),
            (None, Some("OpenClaw:engineer_alice"), &alice),
            (None, Some("openclaw/engineer_alice"), &alice),
            (None, Some("agent:engineer_alice"), &alice),
            (None, Some("engineer_alice"), &alice),
            (None, Some("openclaw"), &manager),
            (None, Some("openclaw/default"), &manager),
            (None, Some("gpt-x"), &manager),
            (None, None, &manager),
        ] {
            assert_eq!(
                &table().route(header, model),
                expected,
                "{header:?} {model:?}"
            );
        }
    }

    #[test]
    fn an_unknown_agent_in_the_model_is_refused() {
        let refused = table().route(None, Some("openclaw:bob"));
        assert_eq!(refused, Err(UnknownAgent("bob".to_owned())));
    }
}
