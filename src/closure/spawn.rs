//! `spawn` runs a closure in a child that has the caller's memory, beside the caller.
//!
//! The child needs a TLS that nobody else uses. So a new thread lends the child its TLS and the lower part of its
//! stack, and then waits for the child without touching either.

#![allow(unsafe_code)]

use super::task::Task;
use crate::start::why::no_thread;
use crate::start::{ROOM, Stack};
use crate::{Builder, Error, Stage};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::resume_unwind;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, Scope};

impl Builder<'_> {
    /// Runs `f` in a child process, beside the caller. The child shares the caller's memory, and can have its own
    /// namespaces, cgroup and the like.
    ///
    /// This is like [`std::thread::spawn`], and has the same conditions: `f` and its value are `Send` and own what they
    /// use. `f` runs as a new thread, with its own thread-locals and stack. Its thread-locals are dropped when the
    /// child is gone, in the parent's process and namespaces. If the handle is dropped, the child runs on. If the
    /// program ends, the child is killed. Like a thread, the child cannot be killed alone. If `f` neither returns nor
    /// panics, the program ends as with [`call`](Self::call).
    ///
    /// # Errors
    ///
    /// The errors are those of [`call`](Self::call), and stage [`Thread`](Stage::Thread) if there can be no thread.
    ///
    /// ```
    /// use clone_trampoline::Builder;
    ///
    /// let words = vec!["owned", "memory"];
    /// match Builder::new().spawn(move || words.concat()) {
    ///     Ok(handle) => {
    ///         assert_ne!(handle.id(), std::process::id());
    ///         assert_eq!(handle.join().unwrap(), "ownedmemory");
    ///     }
    ///     Err(error) => println!("{error}"),
    /// }
    /// ```
    ///
    /// Closures that std's threads refuse are refused here as well:
    ///
    /// ```compile_fail,E0277
    /// let not_send = std::rc::Rc::new(5);
    /// clone_trampoline::Builder::new().spawn(move || println!("{not_send}"));
    /// ```
    ///
    /// ```compile_fail,E0373
    /// let borrowed = String::new();
    /// clone_trampoline::Builder::new().spawn(|| println!("{borrowed}"));
    /// ```
    pub fn spawn<F, T>(&self, f: F) -> Result<JoinHandle<T>, Error>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (supervisor, news) = self.supervisor(f)?;
        let thread = self.thread()?.spawn(supervisor).map_err(|error| no_thread(&error))?;
        Ok(JoinHandle { thread, child: news.hear()? })
    }

    /// Runs `f` as [`spawn`](Self::spawn) does, but in a scope. `f` may borrow what outlives the scope, and the scope
    /// does not end before the child.
    ///
    /// # Errors
    ///
    /// The errors are those of [`spawn`](Self::spawn).
    ///
    /// ```
    /// use clone_trampoline::Builder;
    ///
    /// let mut numbers = [1, 2, 3];
    /// let result = std::thread::scope(|scope| {
    ///     Builder::new().spawn_scoped(scope, || numbers.reverse()).map(|_| ())
    /// });
    /// if result.is_ok() {
    ///     assert_eq!(numbers, [3, 2, 1]);
    /// }
    /// ```
    pub fn spawn_scoped<'scope, F, T>(
        &self,
        scope: &'scope Scope<'scope, '_>,
        f: F,
    ) -> Result<ScopedJoinHandle<'scope, T>, Error>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let (supervisor, news) = self.supervisor(f)?;
        let thread = self.thread()?.spawn_scoped(scope, supervisor).map_err(|error| no_thread(&error))?;
        Ok(ScopedJoinHandle { thread, child: news.hear()? })
    }

    fn thread(&self) -> Result<thread::Builder, Error> {
        // This is musl's limit. std panics if libc refuses a size.
        if self.stack_size > usize::MAX / 4 - 2 * ROOM {
            return Err(Error::new(Stage::Thread, libc::EINVAL, "there can be no stack of this size"));
        }
        // std panics at such a name.
        if self.name.as_ref().is_some_and(|name| name.contains('\0')) {
            return Err(Error::new(Stage::Thread, libc::EINVAL, "the name of a thread has a NUL byte"));
        }
        // The thread keeps one ROOM. The other is for std's frames and the program's thread-locals.
        let builder = thread::Builder::new().stack_size(self.stack_size.max(ROOM) + 2 * ROOM);
        Ok(match &self.name {
            Some(name) => builder.name(name.clone()),
            None => builder,
        })
    }

    /// Returns the function of the waiting thread, and the receiver of its news of the child. If the news is an error,
    /// the function returns None. The closure and its value are in boxes, to keep the thread's frames small, because
    /// the child has the rest of the stack.
    fn supervisor<'f, F, T>(
        &self,
        f: F,
    ) -> Result<(impl FnOnce() -> Option<Box<T>> + Send + use<'f, F, T>, News), Error>
    where
        F: FnOnce() -> T + Send + 'f,
        T: Send + 'f,
    {
        let args = self.sharing_memory()?;
        let f = Box::new(f);
        let (maps, pidfd, allow_pid_namespace) = (self.maps.clone(), self.pidfd, self.allow_pid_namespace);
        let (teller, begun) = sync_channel(1);
        let pid = Arc::new(AtomicU32::new(0));
        let news = News { pid: Arc::clone(&pid), begun };
        let supervisor = move || {
            let child_teller = teller.clone();
            let f = move |pidfd| {
                // The receiver cannot be gone, because it waits for this.
                _ = child_teller.send(Ok(pidfd));
                Box::new(f())
            };
            let mut task = Task::new(f, maps, allow_pid_namespace, pidfd);
            let outcome = stack_of_this_thread().and_then(|stack| {
                // SAFETY: these are the flags of `sharing_memory` and this thread's own stack. Storing the pid uses no
                // TLS.
                unsafe { task.run(&args, stack, |child| pid.store(child as u32, Ordering::Release)) }
            });
            match outcome {
                Ok(result) => Some(result.unwrap_or_else(|payload| resume_unwind(payload))),
                Err(error) => {
                    // Send this before the task is dropped, because dropping what the closure owns may panic.
                    _ = teller.send(Err(error));
                    None
                }
            }
        };
        Ok((supervisor, news))
    }
}

/// The waiting thread's news of the child.
struct News {
    /// The child's pid, or 0 until it is known. In its own pid namespace the child may have another one.
    pid: Arc<AtomicU32>,
    /// Receives the pidfd when the closure runs, or an error.
    begun: Receiver<Result<Option<OwnedFd>, Error>>,
}

impl News {
    fn hear(&self) -> Result<Child, Error> {
        let begun = self.begun.recv();
        let pidfd = begun.unwrap_or_else(|_| unreachable!("there is a child or an error"))?;
        loop {
            match self.pid.load(Ordering::Acquire) {
                // clone(2) has not returned yet in the waiting thread.
                0 => thread::yield_now(),
                pid => return Ok(Child { pid, pidfd }),
            }
        }
    }
}

/// Returns the stack of the calling thread, which is not the main thread.
fn stack_of_this_thread() -> Result<Stack, Error> {
    let mut attributes = MaybeUninit::uninit();
    let (mut lowest, mut size) = (ptr::null_mut(), 0);
    // SAFETY: there is room for everything that the calls store.
    let errno = unsafe {
        match libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) {
            0 => {
                libc::pthread_attr_getstack(attributes.as_ptr(), &mut lowest, &mut size);
                libc::pthread_attr_destroy(attributes.as_mut_ptr())
            }
            errno => errno,
        }
    };
    match errno {
        0 => Ok(Stack::Within { lowest: lowest.expose_provenance(), size }),
        _ => Err(Error::from_io(Stage::Thread, &io::Error::from_raw_os_error(errno))),
    }
}

/// The facts about a child that are known from its birth.
#[derive(Debug)]
struct Child {
    pid: u32,
    pidfd: Option<OwnedFd>,
}

/// A handle to a spawned child, which can wait for the closure's value.
///
/// If the handle is dropped, the child runs on, as with [`std::thread::JoinHandle`].
///
/// ```
/// if let Ok(handle) = clone_trampoline::spawn(|| (std::process::id(), 5)) {
///     let pid = handle.id();
///     assert!(handle.pidfd().is_some());
///     while !handle.is_finished() {
///         std::thread::yield_now();
///     }
///     assert_eq!(handle.join().unwrap(), (pid, 5));
/// }
/// ```
#[derive(Debug)]
pub struct JoinHandle<T> {
    thread: thread::JoinHandle<Option<Box<T>>>,
    child: Child,
}

/// A handle to a child of [`Builder::spawn_scoped`], which can wait for the closure's value.
///
/// ```
/// use clone_trampoline::Builder;
///
/// let text = String::from("borrowed");
/// std::thread::scope(|scope| {
///     if let Ok(handle) = Builder::new().spawn_scoped(scope, || text.len()) {
///         assert_eq!(handle.join().unwrap(), 8);
///     }
/// });
/// ```
#[derive(Debug)]
pub struct ScopedJoinHandle<'scope, T> {
    thread: thread::ScopedJoinHandle<'scope, Option<Box<T>>>,
    child: Child,
}

macro_rules! handle {
    ($handle:ident $(<$scope:lifetime>)?) => {
        impl<T> $handle<$($scope,)? T> {
            /// Returns the child's pid. The child is waited for as soon as it has ended. From then on the pid may name
            /// another process, but [`pidfd`](Self::pidfd) does not.
            #[must_use]
            pub fn id(&self) -> u32 {
                self.child.pid
            }

            /// Returns the child's pidfd, which it has from its birth. It is close-on-exec. It is None after
            /// [`without_pidfd`](Builder::without_pidfd).
            #[must_use]
            pub fn pidfd(&self) -> Option<BorrowedFd<'_>> {
                self.child.pidfd.as_ref().map(AsFd::as_fd)
            }

            /// Returns whether the child is gone, so that [`join`](Self::join) would not block for long.
            #[must_use]
            pub fn is_finished(&self) -> bool {
                self.thread.is_finished()
            }

            /// Waits until the child and all its threads are gone.
            ///
            /// # Errors
            ///
            /// The error is the payload of the closure's panic.
            pub fn join(self) -> thread::Result<T> {
                self.thread.join().map(|value| *value.expect("a child that has refused has no handle"))
            }
        }
    };
}

handle!(JoinHandle);
handle!(ScopedJoinHandle<'_>);

/// Runs `f` as [`Builder::spawn`] does, with the defaults.
///
/// # Errors
///
/// The errors are those of [`Builder::spawn`].
///
/// ```
/// if let Ok(handle) = clone_trampoline::spawn(|| 2 + 3) {
///     assert_eq!(handle.join().unwrap(), 5);
/// }
/// ```
pub fn spawn<F, T>(f: F) -> Result<JoinHandle<T>, Error>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Builder::new().spawn(f)
}

/// Starts `f` as [`spawn`] does, under the name from Linus Torvalds's clone.c of 1996. The task shares this one's
/// memory, root, working directory, file descriptors and signal handlers.
///
/// # Errors
///
/// The errors are those of [`Builder::spawn`].
///
/// ```
/// if let Ok(child) = clone_trampoline::start_thread(|| println!("child")) {
///     child.join().unwrap();
/// }
/// ```
pub fn start_thread<F, T>(f: F) -> Result<JoinHandle<T>, Error>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Builder::new().spawn(f)
}
