//! A closure panics where panics abort: there is no way back out of the child, so the program ends.

use clone_trampoline::{call, spawn};

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("call") => call(|| panic!("inside")).unwrap(),
        _ => spawn(|| panic!("inside")).unwrap().join().unwrap(),
    }
    println!("the program goes on");
}
