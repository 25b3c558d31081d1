//! Panics go on in the caller, at the place that would have got the value.

use crate::program::{Way, catches_panics, program, shares_memory};
use clone_trampoline::{Builder, call, spawn};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};

#[derive(Debug, PartialEq)]
struct Payload(u32);

#[test]
fn the_payload_arrives() {
    if !shares_memory() || !catches_panics() {
        return;
    }
    let payload = catch_unwind(|| call(|| panic_any(Payload(5)))).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&Payload(5)));
    let payload = spawn(|| panic_any(Payload(6))).unwrap().join().unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&Payload(6)));
    // The thread can still panic as before.
    assert!(!std::thread::panicking());
    assert!(catch_unwind(|| panic!()).is_err());
}

#[test]
fn the_hook_runs_once_and_names_the_thread() {
    if !shares_memory() || !catches_panics() {
        return;
    }
    for way in Way::BOTH {
        let test = "panics::the_hook_runs_once_and_names_the_thread";
        let end = program(test, &format!("{way:?}"), || match way {
            Way::Call => std::thread::Builder::new()
                .name("named".into())
                .spawn(|| call(|| panic!("reason")).unwrap())
                .unwrap()
                .join()
                .unwrap_err()
                .downcast_ref::<&str>()
                .map_or((), |&text| assert_eq!(text, "reason")),
            Way::Spawn => {
                let handle = Builder::new().name("named".into()).spawn(|| panic!("reason")).unwrap();
                assert!(handle.join().is_err());
            }
        });
        if let Some(end) = end {
            end.is_exit(0);
            assert_eq!(end.stderr.matches("thread 'named'").count(), 1, "{end:?}");
            assert_eq!(end.stderr.matches("reason").count(), 1, "{end:?}");
        }
    }
}

#[test]
fn a_call_while_the_caller_panics() {
    struct Calls(Option<u32>);
    impl Drop for Calls {
        fn drop(&mut self) {
            self.0 = call(|| {
                assert!(std::thread::panicking());
                // This does not use panic!. Its hook would print all frames, which takes minutes on an emulated mips.
                catch_unwind(|| resume_unwind(Box::new("inner"))).unwrap_err();
                5
            })
            .ok();
        }
    }
    if !shares_memory() || !catches_panics() {
        return;
    }
    let mut seen = None;
    let payload = catch_unwind(AssertUnwindSafe(|| {
        struct Report<'a>(&'a mut Option<u32>, Calls);
        impl Drop for Report<'_> {
            fn drop(&mut self) {
                drop(std::mem::replace(&mut self.1, Calls(None)));
                *self.0 = call(|| 5).ok();
            }
        }
        let _report = Report(&mut seen, Calls(None));
        panic!("outer")
    }))
    .unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"outer"));
    assert_eq!(seen, Some(5));
}

#[test]
fn a_panic_with_a_panic_of_the_caller_aborts() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            _ = call(|| panic!("inner"));
        }
    }
    if !shares_memory() || !catches_panics() {
        return;
    }
    let end = program("panics::a_panic_with_a_panic_of_the_caller_aborts", "drop", || {
        // This hook prints no backtrace. std's hook prints one for a panic inside a panic, and that takes minutes on an
        // emulated machine.
        std::panic::set_hook(Box::new(|info| eprintln!("{info}")));
        let _panics = Panics;
        panic!("outer")
    });
    if let Some(end) = end {
        end.is_abort("panic in a destructor during cleanup");
    }
}
