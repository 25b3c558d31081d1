/* The guest's PID 1: makes a small Linux system, runs the programs that the host's `guest`
 * put into /guest, says on the console how each of them ended, and ends the machine.
 *
 * Each line to the host begins with a mark that no program knows:
 *   MARK up RELEASE MACHINE, N CPUs, lacks ...
 *   MARK run PROGRAM
 *   MARK end exit N | signal N | timeout
 *   MARK off
 * What stands between run and end is the program's own output. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static char mark[64];
static char lacks[512];

static void lack(const char *what)
{
	size_t used = strlen(lacks);
	snprintf(lacks + used, sizeof lacks - used, "%s%s", used ? ", " : "", what);
}

/* The text of a file, NUL at its end, and its length without that. */
static char *read_file(const char *path, size_t *length)
{
	char *text = NULL;
	size_t room = 0;
	ssize_t got;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	*length = 0;
	do {
		room += 65536;
		text = realloc(text, room + 1);
		got = text ? read(fd, text + *length, room - *length) : -1;
		if (got < 0) {
			printf("init: %s: %m\n", path);
			exit(1);
		}
		*length += got;
	} while (got > 0);
	close(fd);
	text[*length] = '\0';
	return text;
}

/* A file of NUL-ended strings as a vector for exec, its first element left to the caller. */
static char **read_strings(const char *path)
{
	size_t length, count = 1;
	char *text = read_file(path, &length), *end = text + length;
	char **strings = calloc(length + 2, sizeof *strings);

	for (char *s = text; s < end; s += strlen(s) + 1)
		strings[count++] = s;
	return strings;
}

static void mount_at(const char *type, const char *path)
{
	mkdir(path, 0755);
	if (mount(type, path, type, 0, NULL) < 0)
		lack(path);
}

/* The initramfs itself cannot be the old root of pivot_root(2), a mount of it can; moved onto
 * /, so that a task is not taken for chrooted, which would forbid user namespaces. */
static void make_root(void)
{
	mkdir("/root", 0700);
	if (mount("/", "/root", NULL, MS_BIND, NULL) < 0 || chdir("/root") < 0 ||
	    mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
		lack("a root that pivot_root takes");
}

static void make_console(void)
{
	int fd = open("/dev/console", O_RDWR | O_NOCTTY);
	struct termios tty;

	if (fd < 0)
		return;
	for (int to = 1; to <= 2; to++)
		dup2(fd, to);
	if (fd > 2)
		close(fd);
	/* bytes arrive as they were written */
	if (tcgetattr(1, &tty) == 0) {
		cfmakeraw(&tty);
		tcsetattr(1, TCSANOW, &tty);
	}
}

static void make_loopback(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };

	if (ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
		lack("loopback");
	close(fd);
}

/* Where the file is there: not every kernel has each of them. */
static void set(const char *file, const char *value, const char *what)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, value, strlen(value)) < 0)
		lack(what);
	close(fd);
}

static void look_for_namespaces(void)
{
	static const char *const kinds[] = { "cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts" };

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		char path[64], what[64];
		snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[i]);
		snprintf(what, sizeof what, "%s namespaces", kinds[i]);
		if (access(path, F_OK) < 0)
			lack(what);
	}
}

static void make_system(void)
{
	make_root();
	mount_at("devtmpfs", "/dev");
	make_console();
	mount_at("proc", "/proc");
	mount_at("sysfs", "/sys");
	mount_at("cgroup2", "/sys/fs/cgroup");
	mount_at("devpts", "/dev/pts");
	mount_at("tmpfs", "/dev/shm");
	/* no mount of its own, for it may hold the program; the root is a tmpfs already */
	mkdir("/tmp", 0777);
	chmod("/tmp", 01777);
	make_loopback();
	/* Debian's own */
	set("/proc/sys/kernel/unprivileged_userns_clone", "1", "unprivileged user namespaces");
	/* a 64-bit kernel's most; a 32-bit one refuses it and has 32768 */
	set("/proc/sys/kernel/pid_max", "4194304", "tids above 32768");
	set("/proc/sys/kernel/print-fatal-signals", "1", "registers of killed tasks");
	look_for_namespaces();
}

static pid_t start(char **argv, char **envp, const char *folder)
{
	pid_t child = fork();

	if (child != 0)
		return child;
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	close(0);
	open("/dev/null", O_RDWR);
	if (chdir(folder) < 0)
		printf("init: %s: %m\n", folder);
	else if (execve(argv[0], argv, envp) < 0)
		printf("init: %s: %m\n", argv[0]);
	fflush(stdout);
	_exit(127);
}

/* Waits for the child, at most `limit` seconds if that is not 0; reaps orphans meanwhile. */
static int wait_for(pid_t child, int limit, int *status)
{
	struct timespec now, end;
	sigset_t chld;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += limit;
	for (;;) {
		pid_t pid = waitpid(-1, status, limit ? WNOHANG | __WALL : __WALL);
		if (pid == child)
			return 0;
		if (pid != 0)
			continue;
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec >= end.tv_sec)
			return -1;
		sigtimedwait(&chld, NULL, &(struct timespec){ .tv_sec = 1 });
	}
}

static void kill_all_others(void)
{
	kill(-1, SIGKILL);
	while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR)
		;
}

/* What the kernel says of tasks that SIGSEGV has killed, with their registers, since this was called before. */
static void tell_faults(void)
{
	static char text[1 << 20];
	int length = klogctl(4 /* SYSLOG_ACTION_READ_CLEAR */, text, sizeof text - 1);
	int registers = 0;

	text[length > 0 ? length : 0] = '\0';
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		if (strstr(line, "fatal signal"))
			registers = strstr(line, "fatal signal 11") ? 30 : 0;
		if (registers-- > 0 || strstr(line, "segfault") || strstr(line, "sigaltstack") ||
		    strstr(line, "unhandled signal") || strstr(line, "bad frame"))
			printf("kernel: %s\n", line);
	}
}

static void run(char **argv, char **envp, const char *folder, int limit)
{
	int status;

	printf("%s run %s\n", mark, argv[0]);
	fflush(stdout);
	pid_t child = start(argv, envp, folder);
	int ended = wait_for(child, limit, &status);
	kill_all_others();
	make_console();
	tell_faults();
	if (ended < 0)
		printf("%s end timeout\n", mark);
	else if (WIFSIGNALED(status))
		printf("%s end signal %d\n", mark, WTERMSIG(status));
	else
		printf("%s end exit %d\n", mark, WEXITSTATUS(status));
	fflush(stdout);
}

int main(void)
{
	struct utsname kernel;
	sigset_t chld;
	size_t length;

	make_system();
	uname(&kernel);
	snprintf(mark, sizeof mark, "%s", read_file("/guest/mark", &length));
	char *folder = read_file("/guest/folder", &length);
	int limit = atoi(read_file("/guest/limit", &length));
	char **programs = read_strings("/guest/programs");
	char **argv = read_strings("/guest/arguments");
	char **envp = read_strings("/guest/environment") + 1;

	printf("%s up Linux %s %s, %ld CPUs, lacks %s\n", mark, kernel.release, kernel.machine,
	       sysconf(_SC_NPROCESSORS_ONLN), *lacks ? lacks : "nothing");

	/* blocked, so that sigtimedwait takes them */
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	for (char **program = programs + 1; *program; program++) {
		argv[0] = *program;
		run(argv, envp, folder, limit);
	}
	printf("%s off\n", mark);
	fflush(stdout);
	tcdrain(1);
	reboot(RB_AUTOBOOT);
	pause();
}
