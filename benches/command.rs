//! Measures what it costs to start a program and wait for it, by `Command` and by its alternatives. The results are
//! tables of ratios to std's `Command`.
//!
//! `cargo bench --bench command` takes some minutes. It measures with 10 MB, 1 GB and 8 GB of touched memory (as far as
//! the machine has them), then with 100, 1,000 and 10,000 open descriptors, and then with 1 to 8 threads that start
//! programs at once. `-- 10` stops at 10 megabytes. As in `ratios`, every round does each operation for a while, and
//! the tables have medians of the rounds. strace(1) counts the system calls.

mod measure;

use clone_trampoline::Command;
use measure::{Chart, Operation, draw, measure, median, ratio, syscalls};
use std::ffi::{CString, c_char, c_int};
use std::fs::File;
use std::hint::black_box;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::{env, fs, io, process, ptr, thread};

const ROUNDS: usize = 40;
/// The rows that the charts show. The others lie between these.
const CHARTED: [&str; 5] = [
    "std's Command",
    "`Command`",
    "`Command`, `close_other_fds`",
    "`Command`, with a closure",
    "std's Command, with a closure",
];
/// The number of starts of each thread in a round.
const STARTS: u32 = 20;

/// A program to start: its path, and the same path for argv.
struct Program {
    path: PathBuf,
    name: CString,
}

impl Program {
    fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), name: CString::new(path.as_os_str().as_bytes()).expect("a path") }
    }

    fn std(&self) -> process::Command {
        process::Command::new(&self.path)
    }

    fn ours(&self) -> Command {
        Command::new(&self.path)
    }

    fn posix_spawn(&self) {
        let arguments = [self.name.as_ptr().cast_mut(), ptr::null_mut()];
        let mut pid = 0;
        // SAFETY: the path is a C string, and the vectors end with null. Nobody changes the environment.
        let errno = unsafe {
            let (path, null) = (self.name.as_ptr(), ptr::null());
            libc::posix_spawn(&mut pid, path, null, null.cast(), arguments.as_ptr(), environ.cast())
        };
        assert_eq!(errno, 0);
        wait(pid);
    }

    /// Starts the program as a C program would.
    #[inline(never)]
    #[allow(deprecated, reason = "a peer to be measured")]
    fn vfork(&self) {
        // SAFETY: the child executes the program or ends before this frame ends.
        match unsafe { libc::vfork() } {
            0 => self.execute(),
            pid => wait(pid),
        }
    }

    fn fork(&self) {
        // SAFETY: the child executes the program or ends.
        match unsafe { libc::fork() } {
            0 => self.execute(),
            pid => wait(pid),
        }
    }

    /// Executes the program, in a child.
    fn execute(&self) -> ! {
        let arguments = [self.name.as_ptr(), ptr::null()];
        // SAFETY: the path is a C string, and the vectors end with null.
        unsafe {
            libc::execve(self.name.as_ptr(), arguments.as_ptr(), environ);
            libc::_exit(127)
        }
    }
}

unsafe extern "C" {
    static environ: *const *const c_char;
}

fn wait(pid: c_int) {
    let mut status = 0;
    // SAFETY: this is a child of ours, and `status` has room for its status.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    assert_eq!(status, 0);
}

type Row<'a> = (&'static str, Operation<'a>);

fn good(status: io::Result<process::ExitStatus>) {
    assert!(status.expect("started").success());
}

/// Returns the operations that do not take longer with more memory. std's comes first.
fn operations(program: &Program) -> Vec<Row<'_>> {
    vec![
        ("std's Command", Box::new(|| good(program.std().status()))),
        ("posix_spawn", Box::new(|| program.posix_spawn())),
        ("vfork and execve, as in C", Box::new(|| program.vfork())),
        ("`Command`", Box::new(|| good(program.ours().status()))),
        ("`Command`, without a pidfd", Box::new(|| good(program.ours().without_pidfd().status()))),
        ("`Command`, `close_other_fds`", Box::new(|| good(program.ours().close_other_fds(true).status()))),
        (
            "`Command`, with a closure",
            Box::new(|| {
                let mut command = program.ours();
                // SAFETY: the closure does nothing.
                good(unsafe { command.pre_exec(|| Ok(())) }.status())
            }),
        ),
    ]
}

/// Returns the operations that copy the page tables.
fn forks(program: &Program) -> Vec<Row<'_>> {
    vec![
        (
            "std's Command, with a closure",
            Box::new(|| {
                let mut command = program.std();
                // SAFETY: the closure does nothing.
                good(unsafe { command.pre_exec(|| Ok(())) }.status())
            }),
        ),
        ("fork and execve", Box::new(|| program.fork())),
    ]
}

fn main() {
    let arguments: Vec<String> = env::args().collect();
    let folder = env::temp_dir().join(format!("clone-trampoline-bench-{}", process::id()));
    // strace(1) runs this program again, with these arguments.
    if let [_, path, row, count] = &arguments[..] {
        let program = Program::new(Path::new(path));
        let mut all = operations(&program);
        all.extend(forks(&program));
        for _ in 0..count.parse::<usize>().expect("a number") {
            all[row.parse::<usize>().expect("a number")].1();
        }
        return;
    }
    fs::create_dir(&folder).expect("a folder");
    let programs: Vec<(&str, Program)> = tiny(&folder)
        .map(|path| ("a static program that ends at once", Program::new(&path)))
        .into_iter()
        .chain([("/bin/true", Program::new(Path::new("/bin/true")))])
        .collect();
    let most = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(available() * 3 / 4);
    let mut memory = Vec::new();
    let mut chart = Chart::new("memory", "megabytes");
    for megabytes in [10, 1024, 8192].into_iter().filter(|megabytes| *megabytes <= most) {
        memory.push(black_box(vec![1_u8; (megabytes << 20) - memory.iter().map(Vec::len).sum::<usize>()]));
        for (number, (name, program)) in programs.iter().enumerate() {
            println!("\n{name}, {megabytes} MB touched\n");
            println!("| | us | ratio | system calls |\n| --- | --- | --- | --- |");
            let taken = measure(&mut operations(program), ROUNDS);
            let forked = measure(&mut forks(program), 5);
            let names = operations(program).into_iter().chain(forks(program)).map(|(name, _)| name);
            for (row, (name, times)) in names.zip(taken.iter().chain(&forked)).enumerate() {
                let counts = if megabytes == 10 { row_syscalls(&program.path, row) } else { "".into() };
                let (us, ratio) = (median(times.iter().copied()), ratio(times, &taken[0]));
                println!("| {name} | {us:.1} | {ratio:.3} | {counts} |");
                if number == 0 && CHARTED.contains(&name) {
                    chart.add(name, megabytes, us, ratio);
                }
            }
        }
    }
    drop(memory);
    chart.write().expect("docs/bench/memory.csv");
    descriptors(&programs[0]);
    threads(&programs[0]);
    draw();
    fs::remove_dir_all(&folder).expect("our folder");
}

fn descriptors((name, program): &(&str, Program)) {
    let limit = libc::rlimit { rlim_cur: 20_000, rlim_max: 20_000 };
    // SAFETY: the address is that of a `struct rlimit`.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } != 0 {
        return println!("\nno limit of 20,000 descriptors is allowed");
    }
    let null = File::open("/dev/null").expect("/dev/null");
    let mut open = Vec::new();
    let mut chart = Chart::new("descriptors", "descriptors");
    for count in [100, 1000, 10_000] {
        open.resize_with(count, || null.try_clone().expect("dup"));
        println!("\n{name}, {count} descriptors open, the highest is {}\n", open[count - 1].as_raw_fd());
        println!("| | us | ratio |\n| --- | --- | --- |");
        let taken = measure(&mut operations(program), ROUNDS);
        for ((name, _), times) in operations(program).iter().zip(&taken) {
            let (us, ratio) = (median(times.iter().copied()), ratio(times, &taken[0]));
            println!("| {name} | {us:.1} | {ratio:.3} |");
            if CHARTED.contains(name) {
                chart.add(name, count, us, ratio);
            }
        }
    }
    chart.write().expect("docs/bench/descriptors.csv");
}

/// Measures threads that start programs at once. The result is the time of one start, as each thread sees it.
fn threads((name, program): &(&str, Program)) {
    // The threads use all CPUs, even if the benchmark was bound to one.
    let all = [u8::MAX; 128];
    // SAFETY: the size is that of the set.
    unsafe { libc::sched_setaffinity(0, size_of_val(&all), all.as_ptr().cast()) };
    let mut chart = Chart::new("threads", "threads");
    for count in [1, 2, 4, 8] {
        println!("\n{name}, started by {count} thread(s) at once\n");
        println!("| | us | ratio |\n| --- | --- | --- |");
        let start_by_all = |start: fn(&Program)| {
            thread::scope(|scope| {
                for _ in 0..count {
                    scope.spawn(|| (0..STARTS).for_each(|_| start(program)));
                }
            });
        };
        let mut ways: [Row<'_>; 4] = [
            ("std's Command", Box::new(|| start_by_all(|program| good(program.std().status())))),
            ("vfork and execve, as in C", Box::new(|| start_by_all(Program::vfork))),
            ("`Command`", Box::new(|| start_by_all(|program| good(program.ours().status())))),
            (
                "`Command`, `close_other_fds`",
                Box::new(|| start_by_all(|program| good(program.ours().close_other_fds(true).status()))),
            ),
        ];
        let taken = measure(&mut ways, ROUNDS);
        for ((name, _), times) in ways.iter().zip(&taken) {
            let us = median(times.iter().copied()) / f64::from(STARTS);
            let ratio = ratio(times, &taken[0]);
            println!("| {name} | {us:.1} | {ratio:.3} |");
            chart.add(name, count, us, ratio);
        }
    }
    chart.write().expect("docs/bench/threads.csv");
}

/// Compiles the smallest program, if there is a compiler. It shows the cost of execve(2) alone.
fn tiny(folder: &Path) -> Option<PathBuf> {
    let (source, program) = (folder.join("tiny.c"), folder.join("tiny"));
    let end = match env::consts::ARCH {
        "x86_64" => r"xor %edi,%edi\n mov $60,%eax\n syscall",
        "aarch64" => r"mov x0,#0\n mov x8,#93\n svc #0",
        "riscv64" => r"li a0,0\n li a7,93\n ecall",
        _ => return None,
    };
    fs::write(&source, format!("void _start(void) {{ __asm__(\"{end}\"); }}")).expect("a file");
    let mut compiler = process::Command::new("cc");
    compiler.args(["-O1", "-static", "-nostdlib", "-Wl,-z,noseparate-code,--build-id=none", "-o"]);
    let compiled = compiler.arg(&program).arg(&source).status();
    compiled.is_ok_and(|status| status.success()).then_some(program)
}

/// Returns the available memory in megabytes.
fn available() -> usize {
    let information = fs::read_to_string("/proc/meminfo").expect("proc");
    let line = information.lines().find_map(|line| line.strip_prefix("MemAvailable:")).expect("MemAvailable");
    line.split_whitespace().next().and_then(|kilobytes| kilobytes.parse::<usize>().ok()).expect("a number")
        / 1024
}

/// Counts the system calls of one start and its wait, including those of the program.
fn row_syscalls(path: &Path, row: usize) -> String {
    syscalls(|count| [path.into(), row.to_string().into(), count.to_string().into()], 20)
}
