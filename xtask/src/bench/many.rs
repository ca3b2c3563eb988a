//! Many small files in one invocation, beside copying them.

use super::places::Places;
use super::processes::{Job, alternate};
use super::report::{Cell, Report, Table};
use super::{Failure, Plan};

const FILES: usize = 10_000;
const BYTES: usize = 2048;

pub(super) fn measure(plan: &Plan, at: &Places, report: &mut Report) -> Result<(), Failure> {
    let (tree, copy, sealed) = (plan.dir.join("tree"), plan.dir.join("copy"), plan.dir.join("tree.sealed"));
    let opened = plan.dir.join("opened");
    for folder in 0..100 {
        let folder = tree.join(format!("{folder:02}"));
        std::fs::create_dir_all(&folder)?;
        for file in 0..FILES / 100 {
            std::fs::write(folder.join(format!("{file:03}")), [b'x'; BYTES])?;
        }
    }
    let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
    let (tree, bulla) = (text(&tree), at.bulla.as_str());
    let (copy_text, sealed_text) = (text(&copy), text(&sealed));
    let encrypt =
        [bulla, "encrypt", "-q", "-k", "alias/bench", "--reuse-data-key", "-o", &sealed_text, &tree];
    let jobs = [
        Job::new("`cp -r`", &at.home, &["cp", "-r", &tree, &copy_text]).creating(&copy),
        Job::new("bulla encrypt --reuse-data-key", &at.home, &encrypt).creating(&sealed),
    ];
    let medians = alternate(&jobs, plan.rounds())?;
    // Once more, for opening and to see that it was all there.
    jobs[1].seconds()?;
    let decrypt = [bulla, "decrypt", "-q", "--reuse-data-key", "-o", &text(&opened), &sealed_text];
    let open = Job::new("bulla decrypt --reuse-data-key", &at.home, &decrypt).creating(&opened);
    let opening = alternate(&[jobs[0].clone(), open.clone()], plan.rounds())?;
    open.seconds()?;
    let same = std::process::Command::new("diff").args(["-r", &tree, &text(&opened)]).status()?;
    if !same.success() {
        return Err("the opened tree differs from what was sealed".into());
    }
    open.clear()?;
    jobs[1].clear()?;
    let mut table = Table {
        title: format!("A directory of {FILES} files of {BYTES} bytes, median of {}", plan.rounds()),
        columns: vec!["tool", "seconds", "times `cp -r`"],
        rows: Vec::new(),
    };
    let seconds = [medians.as_slice(), opening.get(1..).unwrap_or_default()].concat();
    let copying = seconds.first().copied().unwrap_or(1.0);
    for (name, seconds) in
        ["`cp -r`", "bulla encrypt --reuse-data-key", "bulla decrypt --reuse-data-key"].iter().zip(&seconds)
    {
        table.rows.push(vec![
            Cell::text(*name),
            Cell::Number(*seconds, 3),
            Cell::Number(seconds / copying, 2),
        ]);
    }
    report.add(table);
    Ok(())
}
