//! How both benchmarks measure: every round does each operation for a while, one after the other, so that what disturbs the
//! machine disturbs all.

use std::ffi::OsString;
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
