//! The capabilities of a program.

use super::child::Step;
use super::plan::{NO_NAME, Plan, list};
use super::request::Request;
use crate::Stage;
use std::ffi::c_long;

/// Names the capabilities, with the kernel's numbers.
macro_rules! capabilities {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// A capability. Its value is the kernel's number, and capabilities(7) says what it allows.
        ///
        /// ```
        /// use clone_trampoline::{Capability, Command};
        ///
        /// let mut command = Command::new("true");
        /// command.uid(65534).capabilities([Capability::NetBindService]);
        /// match command.status() {
        ///     Ok(status) => assert!(status.success()),
        ///     Err(error) => println!("{error}"), // without privileges it names `groups`, `setresuid` or `capabilities`
        /// }
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum Capability {
            $($(#[$doc])* $name = $number,)*
        }
    };
}

capabilities! {
    /// `CAP_CHOWN`.
    Chown = 0,
    /// `CAP_DAC_OVERRIDE`.
    DacOverride = 1,
    /// `CAP_DAC_READ_SEARCH`.
    DacReadSearch = 2,
    /// `CAP_FOWNER`.
    Fowner = 3,
    /// `CAP_FSETID`.
    Fsetid = 4,
    /// `CAP_KILL`.
    Kill = 5,
    /// `CAP_SETGID`.
    Setgid = 6,
    /// `CAP_SETUID`.
    Setuid = 7,
    /// `CAP_SETPCAP`.
    Setpcap = 8,
    /// `CAP_LINUX_IMMUTABLE`.
    LinuxImmutable = 9,
    /// `CAP_NET_BIND_SERVICE`.
    NetBindService = 10,
    /// `CAP_NET_BROADCAST`.
    NetBroadcast = 11,
    /// `CAP_NET_ADMIN`.
    NetAdmin = 12,
    /// `CAP_NET_RAW`.
    NetRaw = 13,
    /// `CAP_IPC_LOCK`.
    IpcLock = 14,
    /// `CAP_IPC_OWNER`.
    IpcOwner = 15,
    /// `CAP_SYS_MODULE`.
    SysModule = 16,
    /// `CAP_SYS_RAWIO`.
    SysRawio = 17,
    /// `CAP_SYS_CHROOT`.
    SysChroot = 18,
    /// `CAP_SYS_PTRACE`.
    SysPtrace = 19,
    /// `CAP_SYS_PACCT`.
    SysPacct = 20,
    /// `CAP_SYS_ADMIN`.
    SysAdmin = 21,
    /// `CAP_SYS_BOOT`.
    SysBoot = 22,
    /// `CAP_SYS_NICE`.
    SysNice = 23,
    /// `CAP_SYS_RESOURCE`.
    SysResource = 24,
    /// `CAP_SYS_TIME`.
    SysTime = 25,
    /// `CAP_SYS_TTY_CONFIG`.
    SysTtyConfig = 26,
    /// `CAP_MKNOD`.
    Mknod = 27,
    /// `CAP_LEASE`.
    Lease = 28,
    /// `CAP_AUDIT_WRITE`.
    AuditWrite = 29,
    /// `CAP_AUDIT_CONTROL`.
    AuditControl = 30,
    /// `CAP_SETFCAP`.
    Setfcap = 31,
    /// `CAP_MAC_OVERRIDE`.
    MacOverride = 32,
    /// `CAP_MAC_ADMIN`.
    MacAdmin = 33,
    /// `CAP_SYSLOG`.
    Syslog = 34,
    /// `CAP_WAKE_ALARM`.
    WakeAlarm = 35,
    /// `CAP_BLOCK_SUSPEND`.
    BlockSuspend = 36,
    /// `CAP_AUDIT_READ`.
    AuditRead = 37,
    /// `CAP_PERFMON` (Linux 5.8).
    Perfmon = 38,
    /// `CAP_BPF` (Linux 5.8).
    Bpf = 39,
    /// `CAP_CHECKPOINT_RESTORE` (Linux 5.9).
    CheckpointRestore = 40,
}

impl Plan {
    /// Cuts the bounding set down before the ids change, while the child still has CAP_SETPCAP. With a new uid it also
    /// keeps the permitted capabilities, which the change would otherwise clear.
    pub(super) fn bound_capabilities(&mut self, request: &Request) {
        let Some(capabilities) = &request.capabilities else { return };
        let keep = capabilities.iter().fold(0, |set, capability| set | 1 << *capability as u8);
        self.push(Stage::Capabilities, list(capabilities), Step::DropBounding(keep));
        if request.uid.is_some() {
            let arguments = [c_long::from(libc::PR_SET_KEEPCAPS), 1, 0, 0];
            self.call(Stage::Capabilities, NO_NAME, libc::SYS_prctl, arguments);
        }
    }

    /// Sets the permitted, effective and inheritable capabilities after the ids have changed. They also become ambient,
    /// so that they last beyond execve(2).
    pub(super) fn set_capabilities(&mut self, request: &Request) {
        let Some(capabilities) = &request.capabilities else { return };
        let name = list(capabilities);
        let mut halves = [0_u32; 2];
        for capability in capabilities {
            halves[*capability as usize / 32] |= 1 << (*capability as u8 % 32);
        }
        const VERSION_3: u32 = 0x2008_0522;
        let [low, high] = halves;
        // `struct __user_cap_header_struct` of the calling task, and two of `struct __user_cap_data_struct`
        let header = self.keep(vec![VERSION_3, 0]);
        let data = self.keep(vec![low, low, low, high, high, high]);
        self.call(Stage::Capabilities, name.clone(), libc::SYS_capset, [header, data, 0, 0]);
        let ambient = |what, capability| [c_long::from(libc::PR_CAP_AMBIENT), what, capability, 0];
        let clear = ambient(c_long::from(libc::PR_CAP_AMBIENT_CLEAR_ALL), 0);
        self.call(Stage::Capabilities, name.clone(), libc::SYS_prctl, clear);
        for capability in capabilities {
            let raise = ambient(c_long::from(libc::PR_CAP_AMBIENT_RAISE), *capability as c_long);
            self.call(Stage::Capabilities, name.clone(), libc::SYS_prctl, raise);
        }
    }
}
