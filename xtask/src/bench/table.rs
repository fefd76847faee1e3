//! Prints a benchmark's figures.

use super::figure::Figure;
use super::machine::Noise;

const HEAD: [&str; 4] = ["figure", "asked", "reached: median (spread)", "verdict"];

/// Prints the table, and above it what makes the figures doubtful.
pub fn print(name: &str, figures: &[Figure], noise: Noise, quick: bool) {
    println!("\n{name}{}", if quick { " (quick: not for quoting)" } else { "" });
    println!(
        "others used {:.0}% of a core meanwhile ({:.1}% stolen by the host); load average before {:.2}{}",
        noise.others_pct,
        noise.steal_pct,
        noise.load_average,
        if noise.is_noisy() { ": NOISY, measure again on a quiet machine" } else { "" }
    );
    let rows: Vec<_> = figures.iter().map(|figure| figure.cells(noise.is_noisy())).collect();
    print!("{}", layout(&rows));
}

/// Columns as wide as their widest cell, the last without trailing blanks.
fn layout(rows: &[[String; 4]]) -> String {
    let head = HEAD.map(str::to_owned);
    let all = || [&head].into_iter().chain(rows);
    let width = |column: usize| all().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths = [0, 1, 2].map(width);
    let line = |row: &[String; 4]| {
        let [figure, asked, reached, verdict] = row;
        let [a, b, c] = widths;
        format!("  {figure:a$}  {asked:b$}  {reached:c$}  {verdict}\n")
    };
    all().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let row = |cells: [&str; 4]| cells.map(str::to_owned);
        let text = layout(&[row(["speed", "<= 2 %", "1 %", "met"]), row(["a longer one", "", "9 ms", "-"])]);
        let verdicts: Vec<_> = text.lines().map(|line| line.rfind(' ')).collect();
        assert_eq!(verdicts[0], verdicts[1]);
        assert_eq!(verdicts[1], verdicts[2]);
        assert!(text.lines().all(|line| !line.ends_with(' ')));
    }
}
