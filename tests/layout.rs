//! `CloneArgs` and `CloneFlags` against libc's headers and the kernel's.

use clone_trampoline::CloneFlags;
use clone_trampoline::raw::CloneArgs;
use linux_raw_sys::general as kernel;
use std::mem::{align_of, offset_of, size_of};

macro_rules! same_layout {
    ($other:ty) => {{
        assert_eq!(size_of::<CloneArgs>(), size_of::<$other>());
        // libc's struct is made of plain u64, which i386 aligns to 4. The kernel's has __aligned_u64.
        assert!(align_of::<CloneArgs>() >= align_of::<$other>());
        same_layout!(@ $other: flags pidfd child_tid parent_tid exit_signal stack stack_size tls set_tid
            set_tid_size cgroup);
    }};
    (@ $other:ty: $($field:ident)*) => {$(
        assert_eq!(offset_of!(CloneArgs, $field), offset_of!($other, $field), stringify!($field));
    )*};
}

#[test]
fn clone_args_is_the_kernels_and_libcs() {
    same_layout!(kernel::clone_args);
    // libc has this struct only for these targets.
    #[cfg(any(
        all(target_arch = "x86_64", target_pointer_width = "64"),
        target_arch = "aarch64",
        target_arch = "riscv64"
    ))]
    same_layout!(libc::clone_args);
    assert_eq!(align_of::<CloneArgs>(), 8, "__aligned_u64");
    assert_eq!(size_of::<CloneArgs>(), kernel::CLONE_ARGS_SIZE_VER2 as usize);
}

/// The flags by their names in `linux/sched.h`.
#[test]
fn flags_are_the_kernels_and_libcs() {
    macro_rules! same {
        ($($name:ident $long:ident)*) => {$(
            assert_eq!(CloneFlags::$name.bits() as u32, kernel::$long, "kernel's {}", stringify!($name));
            assert_eq!(CloneFlags::$name.bits() as u32, libc::$long as u32, "libc's {}", stringify!($name));
        )*};
    }
    same! {
        NEWTIME CLONE_NEWTIME VM CLONE_VM FS CLONE_FS FILES CLONE_FILES SIGHAND CLONE_SIGHAND
        PIDFD CLONE_PIDFD PTRACE CLONE_PTRACE VFORK CLONE_VFORK PARENT CLONE_PARENT THREAD CLONE_THREAD
        NEWNS CLONE_NEWNS SYSVSEM CLONE_SYSVSEM SETTLS CLONE_SETTLS
        PARENT_SETTID CLONE_PARENT_SETTID CHILD_CLEARTID CLONE_CHILD_CLEARTID DETACHED CLONE_DETACHED
        UNTRACED CLONE_UNTRACED CHILD_SETTID CLONE_CHILD_SETTID NEWCGROUP CLONE_NEWCGROUP
        NEWUTS CLONE_NEWUTS NEWIPC CLONE_NEWIPC NEWUSER CLONE_NEWUSER NEWPID CLONE_NEWPID
        NEWNET CLONE_NEWNET IO CLONE_IO
    }
    assert_eq!(CloneFlags::CLEAR_SIGHAND.bits(), kernel::CLONE_CLEAR_SIGHAND);
    assert_eq!(CloneFlags::INTO_CGROUP.bits(), kernel::CLONE_INTO_CGROUP);
    // These flags are new in Linux 7.1, and neither crate's headers have them yet. tests/contract/flags.rs asks such a
    // kernel.
    let newest =
        CloneFlags::AUTOREAP | CloneFlags::NNP | CloneFlags::PIDFD_AUTOKILL | CloneFlags::EMPTY_MNTNS;
    assert_eq!(newest.bits(), 0xf << 34);
}
