//! A thread runtime: what pthread_create, pthread_join and pthread_detach do, on the raw tier.
//!
//! Each thread is one mapping: a guard, its stack, and on top a [`Block`], which is its thread-local
//! storage and what others know of it. Whoever is last unmaps it: the joiner, or, if nobody joins, the
//! thread itself, by `unmap_exit_trampoline`.

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

const GUARD: usize = 64 * 1024; // a page, however large
const SIZE: usize = 2 * GUARD;

/// What the thread pointer of a thread points to.
#[repr(C, align(64))]
struct Block {
    /// This block's address: i386 and x86_64 read their thread pointer there.
    this: *mut Block,
    /// The tid, until the kernel writes 0 and wakes the joiner, because the thread's stack is free.
    tid: AtomicU32,
    /// [`RUNNING`], then both of the others, in either order.
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

/// The calling thread's own variable; not for the first thread, which has no block.
pub(crate) fn local() -> &'static Cell<u32> {
    // SAFETY: SETTLS has made the thread pointer that of the thread's own block, which lives as long as
    // the thread's code runs.
    unsafe { &(*arch::thread_pointer().cast::<Block>()).local }
}

/// Starts a thread that runs `f(argument)`. `tls::init` comes before the first.
///
/// A runtime with signal handlers would block all signals here and open them in the child, after the
/// child has set up what the handlers use.
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
    // SAFETY: a new mapping, all of it ours. The child has the part below the block for its stack (C5)
    // until it has ended, and only then is it unmapped; its thread pointer is its own. Both tids are one
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

/// A thread's life.
unsafe extern "C" fn start(block: *mut c_void) -> c_int {
    let block = block.cast::<Block>();
    // SAFETY: `spawn` has written the block. Nobody unmaps it before the kernel has cleared `tid`, or,
    // once it is detached, before this thread does.
    unsafe {
        let result = ((*block).f)((*block).argument);
        (*block).result.set(result);
        if (*block).state.swap(ENDED, AcqRel) == DETACHED {
            leave(block);
        }
    }
    0 // the exit system call follows: the kernel clears `tid`
}

/// Ends the calling thread and unmaps its stack.
unsafe fn leave(block: *mut Block) -> ! {
    let all = [u32::MAX; 2];
    const SIG_SETMASK: c_int = 2;
    // SAFETY: the checklist of `unmap_exit_trampoline`: no handler can run, since all signals are blocked;
    // the kernel forgets the word that it would clear. This runtime registers neither a robust list nor an
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
        // SAFETY: the thread is not detached, so the mapping is this handle's once the thread is gone.
        unsafe {
            self.wait();
            let result = self.0.as_ref().result.get();
            unmap(base(self.0.as_ptr()));
            result
        }
    }

    /// Lets the thread go: it will unmap itself.
    pub(crate) fn detach(self) {
        // SAFETY: the block is there until the thread knows that it is detached. If it ended before, it
        // never will, and the mapping is this handle's.
        unsafe {
            if self.0.as_ref().state.swap(DETACHED, AcqRel) == ENDED {
                self.wait();
                unmap(base(self.0.as_ptr()));
            }
        }
    }

    /// Waits until the kernel has cleared the tid.
    unsafe fn wait(&self) {
        // SAFETY: the caller has the mapping.
        let word = unsafe { &self.0.as_ref().tid };
        loop {
            let tid = word.load(Acquire);
            if tid == 0 {
                return;
            }
            // not FUTEX_PRIVATE_FLAG: the kernel's own wake is not
            const FUTEX_WAIT: c_int = 0;
            // SAFETY: it waits while the word has this value.
            let _ = unsafe { syscall!(Sysno::futex, word.as_ptr(), FUTEX_WAIT, tid, 0) };
        }
    }
}

fn base(block: *mut Block) -> *mut c_void {
    block.wrapping_add(1).wrapping_byte_sub(SIZE).cast()
}

/// A new mapping, its lower part a guard.
unsafe fn map() -> Result<*mut c_void, Errno> {
    // arm and i386 have mmap, too, with its arguments in memory
    #[cfg(target_pointer_width = "32")]
    const MMAP: Sysno = Sysno::mmap2;
    #[cfg(target_pointer_width = "64")]
    const MMAP: Sysno = Sysno::mmap;
    const PRIVATE_ANONYMOUS: c_int = 0x22;
    const READ_WRITE: c_int = 3;
    // SAFETY: it replaces no other mapping, and what is unmapped is ours.
    unsafe {
        let base = syscall!(MMAP, 0, SIZE, 0, PRIVATE_ANONYMOUS, -1isize, 0)?;
        let base = ptr::with_exposed_provenance_mut::<c_void>(base);
        syscall!(Sysno::mprotect, base.byte_add(GUARD), SIZE - GUARD, READ_WRITE)
            .inspect_err(|_| unmap(base))?;
        Ok(base)
    }
}

unsafe fn unmap(base: *mut c_void) {
    // SAFETY: the caller's own mapping, which nobody uses any more.
    let _ = unsafe { syscall!(Sysno::munmap, base, SIZE) };
}
