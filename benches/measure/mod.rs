//! How both benchmarks measure: every round does each operation for a while, one after the other, so that what disturbs the
//! machine disturbs all.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) type Operation<'a> = Box<dyn FnMut() + 'a>;

const ROUND: Duration = Duration::from_millis(4);

/// The microseconds that each operation took, by rounds.
pub(crate) fn measure(operations: &mut [(&str, Operation<'_>)], rounds: usize) -> Vec<Vec<f64>> {
    let mut times = vec![Vec::new(); operations.len()];
    for _ in 0..rounds {
        for (times, (_, operation)) in times.iter_mut().zip(&mut *operations) {
            let start = Instant::now();
            let mut count = 0;
            while count == 0 || start.elapsed() < ROUND {
                operation();
                count += 1;
            }
            times.push(start.elapsed().as_secs_f64() * 1e6 / f64::from(count));
        }
    }
    times
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Of the same rounds, where there are as many.
pub(crate) fn ratio(times: &[f64], floor: &[f64]) -> f64 {
    if times.len() == floor.len() {
        median(times.iter().zip(floor).map(|(taken, floor)| taken / floor))
    } else {
        median(times.iter().copied()) / median(floor.iter().copied())
    }
}

/// System calls that one operation takes, its children's included: this program, run again with arguments by which it does the
/// operation so often, under strace(1).
pub(crate) fn syscalls(arguments: impl Fn(usize) -> [OsString; 3], count: usize) -> String {
    let made = |count: usize| {
        let mut command = Command::new("strace");
        command.args(["-f", "-o", "/dev/stderr"]).arg(std::env::current_exe().ok()?).args(arguments(count));
        let trace = String::from_utf8(command.stdout(Stdio::null()).output().ok()?.stderr).ok()?;
        // A pid and a call's name; not what else becomes of a task, nor a call that goes on.
        let is_call = |line: &&str| {
            line.split_whitespace().nth(1).is_some_and(|word| word.starts_with(char::is_alphabetic))
        };
        Some(trace.lines().filter(is_call).count() as f64)
    };
    // What the program itself makes, and the first of its operations, is in both.
    match (made(count), made(2 * count)) {
        (Some(once), Some(twice)) => format!("{:.1}", (twice - once) / count as f64),
        _ => "-".into(),
    }
}

/// The numbers of one chart: `docs/bench/NAME.csv`, of which `benches/charts` draws `NAME.svg`.
pub(crate) struct Chart {
    path: PathBuf,
    text: String,
}

impl Chart {
    /// `against`: what the way's time and ratio depend on, such as the megabytes of memory.
    pub(crate) fn new(name: &str, against: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/bench/{name}.csv"));
        Self { path, text: format!("# {}\nway,{against},us,ratio\n", machine()) }
    }

    pub(crate) fn add(&mut self, way: &str, against: usize, us: f64, ratio: f64) {
        // in Markdown's table there are marks that a chart does not need
        let way = way.replace(['`', '\\'], "");
        self.text += &format!("\"{way}\",{against},{us:.1},{ratio:.3}\n");
    }

    /// In place of the numbers of the run before.
    pub(crate) fn write(self) -> io::Result<()> {
        fs::write(self.path, self.text)
    }
}

/// Draws all charts again.
pub(crate) fn draw() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["run", "--quiet", "--manifest-path"]);
    cargo.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/charts/Cargo.toml"));
    let status = cargo.status().expect("cargo");
    assert!(status.success(), "benches/charts: {status}");
}

/// What the numbers depend on, in a line.
fn machine() -> String {
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        output.map_or(String::new(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let cpu = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(": ")?.1.to_owned())
    });
    let parts = [
        cpu.unwrap_or_else(|| std::env::consts::ARCH.into()),
        format!("Linux {}", said("uname", &["-r"])),
        libc_version(),
        said("rustc", &["--version"]),
        said("date", &["+%F"]),
    ];
    parts.join(", ")
}

#[cfg(target_env = "gnu")]
fn libc_version() -> String {
    // SAFETY: a string of libc's that stays.
    let version = unsafe { std::ffi::CStr::from_ptr(libc::gnu_get_libc_version()) };
    format!("glibc {}", version.to_string_lossy())
}

#[cfg(not(target_env = "gnu"))]
fn libc_version() -> String {
    "musl".into()
}
