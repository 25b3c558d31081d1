//! A thread runtime on the raw tier. It does what pthread_create, pthread_join and pthread_detach do.
//!
//! Each thread is one mapping. It has a guard, then the stack, and on top a [`Block`] with the thread-local storage and
//! the data that other threads use. The last user unmaps it: the thread that joins, or, if nobody joins, the thread
//! itself by `unmap_exit_trampoline`.

use crate::{arch, tls};
use clone_trampoline::{CloneFlags, raw};
use core::cell::Cell;
use core::ffi::{c_int, c_ulong, c_void};
use core::ptr::{self, NonNull};
use core::sync::atomic::{
    AtomicU32,
    Ordering::{AcqRel, Acquire},
};
use syscalls::{Errno, Sysno, syscall};

const GUARD: usize = 64 * 1024; // at least one page on every architecture
const SIZE: usize = 2 * GUARD;

/// The block that a thread's thread pointer points to.
#[repr(C, align(64))]
struct Block {
    /// This block's address, which i386 and x86_64 read as their thread pointer.
    this: *mut Block,
    /// The tid. When the thread's stack is free, the kernel writes 0 here and wakes the joiner.
    tid: AtomicU32,
    /// First [`RUNNING`], and then the other two states, in either order.
    state: AtomicU32,
    f: fn(u32) -> u32,
    argument: u32,
    result: Cell<u32>,
    /// The one thread-local variable of this program.
    local: Cell<u32>,
}

const RUNNING: u32 = 0;
const ENDED: u32 = 1;
const DETACHED: u32 = 2;

/// A thread that is to be joined or detached.
pub(crate) struct Thread(NonNull<Block>);

/// Returns the calling thread's own variable. The first thread must not call this, because it has no block.
pub(crate) fn local() -> &'static Cell<u32> {
    // SAFETY: SETTLS has set the thread pointer to the thread's own block, which lives as long as the thread's code
    // runs.
    unsafe { &(*arch::thread_pointer().cast::<Block>()).local }
}

/// Starts a thread that runs `f(argument)`. `tls::init` must be called before the first one.
///
/// A runtime with signal handlers would block all signals here, and unblock them in the child when the child has set up
/// everything that the handlers use.
pub(crate) fn spawn(f: fn(u32) -> u32, argument: u32) -> Result<Thread, Errno> {
    let flags = CloneFlags::VM
        | CloneFlags::FS
        | CloneFlags::FILES
        | CloneFlags::SIGHAND
        | CloneFlags::THREAD
        | CloneFlags::SYSVSEM
        | CloneFlags::SETTLS
        | CloneFlags::PARENT_SETTID
        | CloneFlags::CHILD_CLEARTID;
    // SAFETY: the mapping is new and all ours. The child uses the part below the block as its stack (C5), and the
    // mapping is unmapped only after the child has ended. The child's thread pointer is its own. Both tids are the same
    // word, which is written before the child runs and when its stack is free.
    unsafe {
        let base = map()?;
        let block = base.byte_add(SIZE).cast::<Block>().sub(1);
        let (tid, state) = (AtomicU32::new(0), AtomicU32::new(RUNNING));
        block.write(Block {
            this: block,
            tid,
            state,
            f,
            argument,
            result: Cell::new(0),
            local: Cell::new(0),
        });
        let mut tls = tls::Tls::new(block.cast());
        let word = (*block).tid.as_ptr().cast::<c_int>();
        let tid = raw::clone_trampoline(
            Some(start),
            block.cast(),
            flags.bits() as c_ulong,
            block.cast(),
            word,
            tls.argument(),
            word,
        );
        if tid < 0 {
            unmap(base);
            return Err(Errno::new(-tid as i32));
        }
        Ok(Thread(NonNull::new_unchecked(block)))
    }
}

/// Runs a thread from its start to its end.
unsafe extern "C" fn start(block: *mut c_void) -> c_int {
    let block = block.cast::<Block>();
    // SAFETY: `spawn` has written the block. Other threads do not unmap it before the kernel has cleared `tid`. A
    // detached thread unmaps it itself.
    unsafe {
        let result = ((*block).f)((*block).argument);
        (*block).result.set(result);
        if (*block).state.swap(ENDED, AcqRel) == DETACHED {
            leave(block);
        }
    }
    0 // The exit system call follows, and the kernel clears `tid`.
}

/// Ends the calling thread and unmaps its stack.
unsafe fn leave(block: *mut Block) -> ! {
    let all = [u32::MAX; 2];
    const SIG_SETMASK: c_int = 2;
    // SAFETY: this follows the checklist of `unmap_exit_trampoline`. No handler can run, because all signals are
    // blocked. The kernel forgets the word that it would clear. This runtime registers neither a robust list nor an
    // rseq area. Nobody joins a detached thread, so nobody needs the mapping.
    unsafe {
        let _ = syscall!(Sysno::rt_sigprocmask, SIG_SETMASK, all.as_ptr(), 0, size_of_val(&all));
        let _ = syscall!(Sysno::set_tid_address, 0);
        raw::unmap_exit_trampoline(base(block), SIZE, 0)
    }
}

impl Thread {
    /// Waits for the thread's end and returns its result.
    pub(crate) fn join(self) -> u32 {
        // SAFETY: the thread is not detached, so the mapping belongs to this handle once the thread is gone.
        unsafe {
            self.wait();
            let result = self.0.as_ref().result.get();
            unmap(base(self.0.as_ptr()));
            result
        }
    }

    /// Detaches the thread. It will unmap itself.
    pub(crate) fn detach(self) {
        // SAFETY: the block exists until the thread learns that it is detached. If the thread has ended before, it
        // never learns that, and the mapping belongs to this handle.
        unsafe {
            if self.0.as_ref().state.swap(DETACHED, AcqRel) == ENDED {
                self.wait();
                unmap(base(self.0.as_ptr()));
            }
        }
    }

    /// Waits until the kernel has cleared the tid.
    unsafe fn wait(&self) {
        // SAFETY: the caller keeps the mapping meanwhile.
        let word = unsafe { &self.0.as_ref().tid };
        loop {
            let tid = word.load(Acquire);
            if tid == 0 {
                return;
            }
            // There is no FUTEX_PRIVATE_FLAG, because the kernel's own wake is not private.
            const FUTEX_WAIT: c_int = 0;
            // SAFETY: the call only reads the word, and waits while it has this value.
            let _ = unsafe { syscall!(Sysno::futex, word.as_ptr(), FUTEX_WAIT, tid, 0) };
        }
    }
}

fn base(block: *mut Block) -> *mut c_void {
    block.wrapping_add(1).wrapping_byte_sub(SIZE).cast()
}

/// Makes a new mapping. Its lower part is a guard.
unsafe fn map() -> Result<*mut c_void, Errno> {
    // arm and i386 also have mmap, but it takes its arguments from memory.
    #[cfg(target_pointer_width = "32")]
    const MMAP: Sysno = Sysno::mmap2;
    #[cfg(target_pointer_width = "64")]
    const MMAP: Sysno = Sysno::mmap;
    const PRIVATE_ANONYMOUS: c_int = 0x22;
    const READ_WRITE: c_int = 3;
    // SAFETY: the new mapping replaces no other one, and only our own mapping is unmapped.
    unsafe {
        let base = syscall!(MMAP, 0, SIZE, 0, PRIVATE_ANONYMOUS, -1isize, 0)?;
        let base = ptr::with_exposed_provenance_mut::<c_void>(base);
        syscall!(Sysno::mprotect, base.byte_add(GUARD), SIZE - GUARD, READ_WRITE)
            .inspect_err(|_| unmap(base))?;
        Ok(base)
    }
}

unsafe fn unmap(base: *mut c_void) {
    // SAFETY: the mapping is the caller's own, and nobody uses it any more.
    let _ = unsafe { syscall!(Sysno::munmap, base, SIZE) };
}
