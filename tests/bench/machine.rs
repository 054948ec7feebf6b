//! The machine that the figures were measured on.

use std::fs::{File, read_to_string};
use std::io::Write;
use std::process::Command;

use crate::fixture;
use crate::sample::{Unit, by_turns, timed};

/// As the end of the table's page.
pub(crate) fn describe() -> String {
    let folder = fixture::folder();
    let mut file = File::create(folder.path().join("append")).unwrap();
    let mut append = || {
        timed(|| {
            file.write_all(&[b'x'; 200]).unwrap();
            file.sync_data().unwrap();
        })
    };
    let [sync] = by_turns("the disk", 500, [&mut append]);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "\nMeasured on {} with {} ({cores} cores), Linux {}, {}. One append of 200 bytes and `fdatasync` there took \
         {}.\n",
        jiff::Zoned::now().strftime("%-d %B %Y"),
        processor(),
        rustix::system::uname().release().to_string_lossy(),
        said("rustc", &["--version"]),
        sync.show(Unit::Microseconds),
    )
}

fn processor() -> String {
    let info = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or("an unknown processor", |(_, name)| name.trim()).to_owned()
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
