//! The figures as people read them.

use std::fmt::Write as _;

/// One figure: ripcord's number, the one beside it, and what was aimed at.
pub(crate) struct Row {
    pub(crate) figure: String,
    pub(crate) ripcord: String,
    /// What it is compared with; empty if it stands for itself.
    pub(crate) beside: String,
    /// Ratio, difference or rate: what the aim is about.
    pub(crate) result: String,
    pub(crate) aim: String,
    pub(crate) met: bool,
}

/// A table in Markdown, aligned so that it reads well as text too.
pub(crate) fn render(rows: &[Row]) -> String {
    let mut lines = vec![["figure", "ripcord", "beside it", "result", "aim", "met"].map(str::to_owned)];
    for Row { figure, ripcord, beside, result, aim, met } in rows {
        let met = if *met { "yes" } else { "**no**" }.to_owned();
        lines.push([figure.clone(), ripcord.clone(), beside.clone(), result.clone(), aim.clone(), met]);
    }
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (cell, width) in line.iter().zip(widths) {
            let _ = write!(text, "| {cell:width$} ");
        }
        text.push_str("|\n");
        if number == 0 {
            widths.iter().for_each(|width| {
                let _ = write!(text, "|{}", "-".repeat(width + 2));
            });
            text.push_str("|\n");
        }
    }
    text
}
