//! Tests of the values that go in and come out: values, borrows, handles, and no allocation.

use crate::program::{program, shares_memory};
use clone_trampoline::{Builder, JoinHandle, SafeFlags, call, spawn, start_thread};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Counts the allocations of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: this is the system's allocator, with a counter that has no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the promises of this trait.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the promises of this trait.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn call_does_not_allocate() {
    if !shares_memory() {
        return;
    }
    let builder = Builder::new();
    let before = ALLOCATIONS.get();
    let inside = builder.call(|| {
        drop(std::hint::black_box(Box::new(1)));
        ALLOCATIONS.get()
    });
    assert_eq!(inside, Ok(before + 1), "the closure's own is seen");
    assert_eq!(ALLOCATIONS.get(), before + 1);
}

#[test]
fn call_takes_what_is_neither_send_nor_static() {
    if !shares_memory() {
        return;
    }
    let rc = Rc::new(Cell::new(10));
    let borrowed = String::from("borrowed");
    let returned = call(|| {
        rc.set(5);
        (Rc::clone(&rc), borrowed.as_str())
    });
    assert_eq!(rc.get(), 5);
    let (again, text) = returned.unwrap();
    assert_eq!((Rc::strong_count(&again), text), (2, "borrowed"));
}

#[test]
fn large_values_pass() {
    if !shares_memory() {
        return;
    }
    let large = [7_u8; 50_000];
    assert!(call(|| large).unwrap() == large);
    assert!(spawn(move || large).unwrap().join().unwrap() == large);
}

#[test]
fn a_small_stack_is_as_large_as_asked() {
    if !shares_memory() {
        return;
    }
    const SIZE: usize = 256 * 1024;
    let used = Builder::new().stack_size(SIZE).spawn(|| {
        let mut room = std::mem::MaybeUninit::<[u8; SIZE - 16 * 1024]>::uninit();
        let start = std::hint::black_box(room.as_mut_ptr().cast::<u8>());
        for distance in (0..SIZE - 16 * 1024).step_by(1024) {
            // SAFETY: the address is inside the room.
            unsafe { start.add(distance).write_volatile(2) };
        }
        5
    });
    assert_eq!(used.unwrap().join().unwrap(), 5);
    // No size is too small.
    let handle = Builder::new().stack_size(0).spawn(|| String::from("5"));
    assert_eq!(handle.unwrap().join().unwrap(), "5");
}

/// Goes down the stack until this many bytes are left above `lowest`, and makes a call there.
fn call_near_the_end(lowest: usize, left: usize) -> usize {
    let pad = std::hint::black_box([0_u8; 64]);
    let here = (&raw const pad).expose_provenance();
    if here > lowest + left {
        // This use comes after the call. Otherwise the compiler would make a loop.
        return call_near_the_end(lowest, left) + usize::from(std::hint::black_box(pad)[0]);
    }
    let inside = || {
        let local = std::hint::black_box([0_u8; 64]);
        (&raw const local).expose_provenance()
    };
    call(inside).unwrap()
}

/// The memory behind the guard page may belong to another thread.
#[test]
fn s10_a_call_at_the_end_of_a_stack_stays_on_it() {
    if !shares_memory() {
        return;
    }
    let mut overflows = 0;
    // The last size is enough on every machine, even if a signal's frame holds the registers of aarch64's SME.
    for left in (2..40).step_by(2).chain([200]).map(|kib| kib * 1024) {
        let test = "values::s10_a_call_at_the_end_of_a_stack_stays_on_it";
        let end = program(test, &left.to_string(), || {
            let small = std::thread::Builder::new().stack_size(256 * 1024);
            let thread = small.spawn(move || {
                let lowest = lowest_of_this_stack();
                let used = call_near_the_end(lowest, left);
                std::process::exit(if used >= lowest { 42 } else { 43 });
            });
            thread.unwrap().join().unwrap();
        });
        let Some(end) = end else { continue };
        if end.status.code() != Some(42) {
            end.is_abort("has overflowed its stack");
            overflows += 1;
        }
    }
    if std::env::var_os("CLONE_TRAMPOLINE_CASE").is_none() {
        assert!((1..20).contains(&overflows), "{overflows}");
    }
}

fn lowest_of_this_stack() -> usize {
    let mut attributes = std::mem::MaybeUninit::uninit();
    let (mut lowest, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: the calls get room for their results.
    unsafe {
        assert_eq!(libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()), 0);
        assert_eq!(libc::pthread_attr_getstack(attributes.as_ptr(), &mut lowest, &mut size), 0);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
    }
    lowest.expose_provenance()
}

#[test]
fn calls_nest() {
    if !shares_memory() {
        return;
    }
    let pids = call(|| {
        let inner = call(|| (std::process::id(), spawn(std::process::id).unwrap().join().unwrap())).unwrap();
        (std::process::id(), inner)
    });
    let (a, (b, c)) = pids.unwrap();
    assert!(a != b && b != c && a != c, "{a} {b} {c}");
}

#[test]
fn call_runs_as_its_thread() {
    thread_local! {
        static LOCAL: Cell<u32> = const { Cell::new(1) };
    }
    if !shares_memory() {
        return;
    }
    let thread = thread::current().id();
    let inside = call(|| {
        LOCAL.set(2);
        thread::current().id()
    });
    assert_eq!(inside, Ok(thread));
    assert_eq!(LOCAL.get(), 2);
}

#[test]
fn spawn_runs_beside_its_caller() {
    if !shares_memory() {
        return;
    }
    static GO: AtomicBool = AtomicBool::new(false);
    let handle = Builder::new()
        .name("beside".into())
        .spawn(|| {
            while !GO.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(1));
            }
            (std::process::id(), thread::current().name().map(String::from))
        })
        .unwrap();
    assert!(!handle.is_finished());
    let pid = handle.id();
    let mut poll = libc::pollfd { fd: handle.pidfd().unwrap().as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: `poll` is one pollfd.
    assert_eq!(unsafe { libc::poll(&mut poll, 1, 0) }, 0);
    GO.store(true, Ordering::SeqCst);
    // SAFETY: `poll` is one pollfd.
    assert_eq!(unsafe { libc::poll(&mut poll, 1, 30_000) }, 1);
    assert_eq!(handle.join().unwrap(), (pid, Some("beside".into())));
}

/// Even if the child is in its own pid namespace, the handle has the pid in the holder's namespace.
#[test]
fn the_pid_is_the_callers() {
    if !shares_memory() {
        return;
    }
    let builder = Builder::new().flags(SafeFlags::NEWUSER | SafeFlags::NEWPID);
    let (go, wait) = std::sync::mpsc::channel::<()>();
    // SAFETY: the closure creates no thread.
    let handle = unsafe { builder.allow_pid_namespace() }.spawn(move || {
        _ = wait.recv();
        std::process::id()
    });
    let Some(handle) = crate::program::if_allowed(handle) else { return };
    assert!(crate::program::runs(handle.id() as i32));
    assert_ne!(handle.id(), 1);
    drop(go);
    assert_eq!(handle.join().unwrap(), 1);
}

#[test]
fn without_pidfd_there_is_none() {
    if shares_memory() {
        let handle = Builder::new().without_pidfd().spawn(|| ()).unwrap();
        assert!(handle.pidfd().is_none());
        handle.join().unwrap();
    }
}

#[test]
fn a_scope_waits_for_its_children() {
    if !shares_memory() {
        return;
    }
    let mut numbers = vec![1, 2, 3];
    thread::scope(|scope| {
        Builder::new().spawn_scoped(scope, || numbers.push(4)).unwrap();
    });
    assert_eq!(numbers, [1, 2, 3, 4]);
}

#[test]
fn a_detached_child_goes_on() {
    if !shares_memory() {
        return;
    }
    static DONE: AtomicBool = AtomicBool::new(false);
    let handle: JoinHandle<()> = start_thread(|| {
        thread::sleep(Duration::from_millis(20));
        DONE.store(true, Ordering::SeqCst);
    })
    .unwrap();
    drop(handle);
    crate::program::until("the child's end", || DONE.load(Ordering::SeqCst));
}

#[test]
fn namespaces_are_new() {
    if !shares_memory() {
        return;
    }
    let builder = Builder::new().flags(SafeFlags::NEWUSER | SafeFlags::NEWUTS | SafeFlags::NEWNET);
    let names = ["user", "uts", "net", "mnt"];
    let read = move || names.map(|name| std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap());
    let Some(inside) = crate::program::if_allowed(builder.call(read)) else { return };
    let outside = read();
    assert_eq!(std::array::from_fn(|n| inside[n] != outside[n]), [true, true, true, false]);
}

/// This also holds in an instrumented program that keeps its locals elsewhere (`ci/check` runs it with
/// AddressSanitizer).
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
#[test]
fn a_spawned_child_is_on_the_stack_of_its_thread() {
    if !shares_memory() {
        return;
    }
    for size in [1, 2, 8, 16].map(|megabytes| megabytes << 20) {
        let inside = Builder::new().stack_size(size).spawn(|| {
            let stack_pointer: usize;
            let (mut lowest, mut size) = (std::ptr::null_mut(), 0);
            // SAFETY: this reads a register, and asks libc about this thread.
            unsafe {
                std::arch::asm!("mov {}, rsp", out(reg) stack_pointer, options(nomem, nostack));
                let mut attributes = std::mem::zeroed();
                libc::pthread_getattr_np(libc::pthread_self(), &mut attributes);
                libc::pthread_attr_getstack(&attributes, &mut lowest, &mut size);
                libc::pthread_attr_destroy(&mut attributes);
            }
            (lowest as usize..lowest as usize + size).contains(&stack_pointer)
        });
        assert!(inside.unwrap().join().unwrap());
    }
}
