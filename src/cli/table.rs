//! Tables for people.

use super::agent_view::Paint;

/// Lines up the rows below their heads; the cells of `state_column` get the colour of their state.
pub(super) fn table<const N: usize>(
    head: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    state_column: usize,
    paint: Paint,
) -> String {
    let rows: Vec<[String; N]> = [head.map(str::to_owned)].into_iter().chain(rows).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        // What is empty at the end of a line needs no place.
        let cells = N - row.iter().rev().take_while(|cell| cell.is_empty()).count();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate().take(cells) {
            let padded = if column + 1 == cells {
                cell.clone()
            } else {
                format!("{cell:width$}  ")
            };
            text.push_str(&match number {
                0 => paint.dim(&padded),
                _ if column == state_column => paint.state(cell, &padded),
                _ => padded,
            });
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_no_line_ends_with_spaces() {
        let rows = [["a", "running", ""], ["longer", "idle", "note"]];
        let rows = rows.map(|row| row.map(str::to_owned));
        assert_eq!(
            table(["ID", "STATE", "N"], rows, 1, Paint { colours: false }),
            "ID      STATE    N\n\
             a       running\n\
             longer  idle     note\n"
        );
    }
}
