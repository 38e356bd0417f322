//! The first page: how everything is.

use maud::html;

use super::{
    connect, messages, people, plots,
    sections::{Look, View},
    service::{self, Health},
    troubles,
};

/// All sections, the most urgent first.
pub(super) async fn view(look: &Look<'_>) -> View {
    let health = Health::of(look.shared).await;
    let sections = vec![
        service::section(look, &health).await,
        people::section(look, &health.agents).await,
        messages::newest(look).await,
        troubles::newest(look).await,
        plots::throughput(look),
        plots::latency(look),
        service::actors(look, &health),
        connect::summary(look),
    ];
    View {
        title: "Overview".to_owned(),
        head: html! { h1.hidden { "Overview" } },
        sections,
        foot: html! {},
    }
}
