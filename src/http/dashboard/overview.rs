//! The first page: how everything is.

use maud::html;

use super::{
    connect, messages, people, plots,
    sections::{Column, Look, View},
    service::{self, Health},
    troubles,
};

/// All sections, the most urgent first.
pub(super) async fn view(look: &Look<'_>) -> View {
    let health = Health::of(look.shared).await;
    let sections = vec![
        service::section(look, &health).await,
        people::section(look, &health.agents, "Agents").await,
        messages::newest(look).await.in_column(Column::Wide),
        service::actors(look, &health).in_column(Column::Wide),
        troubles::newest(look).await.in_column(Column::Narrow),
        plots::throughput(look).in_column(Column::Narrow),
        plots::latency(look).in_column(Column::Narrow),
        connect::summary(look).in_column(Column::Narrow),
    ];
    View {
        title: "Overview".to_owned(),
        head: html! { h1.hidden { "Overview" } },
        sections,
        foot: html! {},
    }
}
