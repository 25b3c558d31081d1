//! What only assembly can see of a trampoline: registers before and after a call, and at a child's
//! entry. One `<target_arch>.S` per port; everything that the tests know of an architecture is there.

use core::ffi::{c_int, c_void};

/// A call of `function` with every call-saved register holding a pattern, and a patterned area and
/// the frame with the stack arguments from SP upwards.
#[repr(C)]
#[derive(Debug)]
pub struct Call {
    pub function: *const c_void,
    pub args: [usize; 7],
    pub result: isize,
    /// SP at the call.
    pub sp: usize,
    /// 0 if every call-saved register, SP included, came back as it was.
    pub registers_changed: usize,
    /// 0 if every word of the caller's frame came back as it was.
    pub frame_changed: usize,
}

/// The registers when the child's function was entered.
#[repr(C)]
#[derive(Debug)]
pub struct Entry {
    /// SP as the psABI's alignment rule counts it (x86: before the return address was pushed).
    pub sp: usize,
    pub frame_pointer: usize,
    pub thread_pointer: usize,
    /// Where `probe_entry` goes on, with the same argument.
    pub next: unsafe extern "C" fn(*mut c_void) -> c_int,
}

unsafe extern "C" {
    pub fn probe_call(call: *mut Call);
    /// A child's function: records its [`Entry`], stores a vector at an aligned place of its stack
    /// where the architecture has vectors, then goes on to `next`.
    pub fn probe_entry(entry: *mut c_void) -> c_int;
    /// What SETTLS takes to make `thread_pointer` the child's; may use 16 bytes of scratch.
    pub fn probe_tls_argument(thread_pointer: usize, scratch: *mut c_void) -> *mut c_void;
    /// The psABI's alignment of SP at a function's entry.
    pub safe fn probe_stack_alignment() -> usize;
    /// What the port's object must claim in its GNU property note: the type in the lower half, the bits in
    /// the upper one; no bits, no note.
    pub safe fn probe_property() -> u64;
    /// What the call-saved register of this DWARF number holds in a call by `probe_call`; 0: no such one.
    pub safe fn probe_pattern(dwarf_register: c_int) -> usize;
    /// The first four bytes of a function that may be reached by an indirect jump; 0: any.
    pub safe fn probe_landing_pad() -> u32;
}

/// Where the code of a function begins. ELFv1's function pointer is that of a descriptor.
pub fn code(function: *const c_void) -> usize {
    if cfg!(target_abi = "elfv1") {
        // SAFETY: the descriptor of a function, whose first word is the address of the code.
        unsafe { *function.cast() }
    } else {
        function as usize
    }
}
