//! The dashboard: what an operator sees at `/` and does there.
//!
//! Pages are made here, by the server, and work without JavaScript. A small script keeps them
//! up to date: [`live`] sends it the sections of a page whose rendering has changed. Whoever looks
//! is checked by [`gate`]; what is done, in [`actions`].
//!
//! Everything that a sender or an agent wrote reaches a page through `maud`, which escapes it, and
//! [`words::clean`], which takes out what has no business in a line of text.

mod actions;
mod answer;
mod assets;
mod connect;
mod form;
mod gate;
mod live;
mod login;
mod message;
mod messages;
mod overview;
mod page;
mod people;
mod plots;
mod sections;
mod service;
mod sessions;
mod shell;
mod troubles;
mod turn;
mod words;

#[cfg(test)]
mod tests;

use actix_web::{Resource, web};
use uuid::Uuid;

pub(super) use self::gate::{is_served_here, visit};
use self::{live::Watchers, service::Probe, sessions::Sessions};

/// What the dashboard keeps in memory.
pub struct Dashboard {
    sessions: Sessions,
    watchers: Watchers,
    probe: Probe,
    /// The token that forms hold where nobody logs in.
    csrf: String,
    /// Stands in renderings for the token of whoever looks at them. Nobody outside knows it.
    token_place: String,
    /// Where clients reach us, without a slash at the end.
    address: String,
}

impl Dashboard {
    /// One that nobody looks at yet, of a service with this public URL or else this endpoint.
    pub fn new(public_url: Option<&str>, endpoint: &str) -> Self {
        let address = public_url.map_or_else(|| connect::reachable(endpoint), str::to_owned);
        Self {
            sessions: Sessions::default(),
            watchers: Watchers::default(),
            probe: Probe::default(),
            csrf: secret(),
            token_place: secret(),
            address: address.trim_end_matches('/').to_owned(),
        }
    }
}

/// A text that nobody guesses: 244 bits of the system's random source.
fn secret() -> String {
    let halves = [Uuid::new_v4(), Uuid::new_v4()];
    halves.map(|half| half.as_simple().to_string()).concat()
}

/// Says what the metrics of the dashboard mean. Call it once at the start.
pub fn describe() {
    live::describe();
}

/// Adds the routes of the dashboard.
pub fn routes(config: &mut web::ServiceConfig) {
    for path in [
        "/",
        "/web",
        "/web/messages",
        "/web/messages/{id}",
        "/web/agents/{id}",
        "/web/turns/{id}",
        "/web/dead-letters",
        "/web/connect",
    ] {
        config.service(only_get(path, web::get().to(page::show)));
    }
    config
        .service(
            web::resource("/web/login")
                .route(web::get().to(login::show))
                .route(web::post().to(login::enter))
                .default_service(web::to(|| answer::other_verb("GET, POST"))),
        )
        .service(only_post("/web/logout", web::post().to(login::leave)))
        .service(only_get("/web/live", web::get().to(live::follow)))
        .service(only_get("/web/assets/{name}", web::get().to(assets::show)))
        .service(only_post(
            "/web/turns/{id}/cancel",
            web::post().to(actions::cancel_turn),
        ))
        .service(only_post(
            "/web/dead-letters/{id}/{what}",
            web::post().to(actions::dead_letter),
        ))
        .service(only_post(
            "/web/agents/{id}/{what}",
            web::post().to(actions::agent),
        ))
        .service(web::resource("/web/{rest:.*}").default_service(web::to(answer::unknown_path)));
}

fn only_get(path: &str, route: actix_web::Route) -> Resource {
    web::resource(path)
        .route(route)
        .default_service(web::to(|| answer::other_verb("GET")))
}

fn only_post(path: &str, route: actix_web::Route) -> Resource {
    web::resource(path)
        .route(route)
        .default_service(web::to(|| answer::other_verb("POST")))
}
