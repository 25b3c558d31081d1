//! A new thread's thread pointer, in the form that clone takes. This is the pointer itself, except on i386. There the
//! thread pointer is the base of a segment, and clone takes a description of that segment.

#[cfg(not(target_arch = "x86"))]
pub(crate) use pointer::{Tls, init};
#[cfg(target_arch = "x86")]
pub(crate) use segment::{Tls, init};

#[cfg(not(target_arch = "x86"))]
mod pointer {
    use core::ffi::c_void;

    pub(crate) struct Tls(*mut c_void);

    impl Tls {
        pub(crate) fn new(pointer: *mut c_void) -> Self {
            Self(pointer)
        }

        pub(crate) fn argument(&mut self) -> *mut c_void {
            self.0
        }
    }

    pub(crate) fn init() {}
}

#[cfg(target_arch = "x86")]
mod segment {
    use core::arch::asm;
    use core::ffi::c_void;
    use core::ptr;
    use syscalls::{Sysno, syscall};

    /// `struct user_desc`
    #[repr(C)]
    pub(crate) struct Tls {
        entry: u32,
        base: *mut c_void,
        limit: u32,
        bits: u32,
    }

    impl Tls {
        /// Uses the entry that gs selects, because the child has its parent's gs.
        pub(crate) fn new(pointer: *mut c_void) -> Self {
            let gs: u32;
            // SAFETY: this only reads a register.
            unsafe { asm!("mov {:e}, gs", out(reg) gs, options(nostack, preserves_flags, nomem)) };
            Self::in_entry(gs >> 3, pointer)
        }

        /// Describes a segment of 4 GiB from `base` on.
        fn in_entry(entry: u32, base: *mut c_void) -> Self {
            const SEG_32BIT: u32 = 1;
            const LIMIT_IN_PAGES: u32 = 1 << 4;
            const USEABLE: u32 = 1 << 6;
            Self { entry, base, limit: 0xfffff, bits: SEG_32BIT | LIMIT_IN_PAGES | USEABLE }
        }

        pub(crate) fn argument(&mut self) -> *mut c_void {
            (&raw mut *self).cast()
        }
    }

    /// Finds an entry for all threads. Its number is 6 on a 32-bit kernel and 12 on a 64-bit one.
    pub(crate) fn init() {
        let mut first = Tls::in_entry(u32::MAX, ptr::null_mut());
        // SAFETY: the kernel chooses a free entry and writes its number. gs was not used before.
        unsafe {
            crate::or_die("set_thread_area", syscall!(Sysno::set_thread_area, first.argument()));
            asm!("mov gs, {:e}", in(reg) first.entry << 3 | 3, options(nostack, preserves_flags));
        }
    }
}
