/* What a libc makes of its clone: threads, joined and detached, with thread-local storage of their own, and
 * posix_spawn. For a libc whose clone has been replaced (examples/musl). */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WAVES = 25, WAVE = 40 };

static __thread long own = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long sum;
static sem_t gone;

static void check(const char *what, int ok)
{
	if (!ok) {
		printf("%s: wrong\n", what);
		exit(1);
	}
}

static void *thread(void *number)
{
	check("fresh thread-local storage", own == -1);
	own = (intptr_t)number;
	errno = (int)own;
	sched_yield();
	pthread_mutex_lock(&lock);
	sum += own;
	pthread_mutex_unlock(&lock);
	check("own errno", errno == (intptr_t)number);
	/* musl allocates here, in the thread */
	free(malloc(1000));
	return (void *)(2 * own);
}

static void *detached(void *number)
{
	thread(number);
	sem_post(&gone);
	return NULL;
}

/* The lines of /proc/self/maps. */
static int mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	int c, lines = 0;

	check("maps", maps != NULL);
	while ((c = getc(maps)) != EOF)
		lines += c == '\n';
	fclose(maps);
	return lines;
}

static int cloned(void *number)
{
	return *(int *)number;
}

int main(int argc, char **argv)
{
	char *spawned_argv[] = { argv[0], "spawned", NULL }, *environment[] = { NULL };
	static char stack[16384];
	int status, before, number = 21, left = 3000;
	long expected = 0;
	pid_t pid;

	if (argc == 2 && strcmp(argv[1], "spawned") == 0)
		return 42;

	/* what the first thread makes the libc map stays */
	sem_init(&gone, 0, 0);
	free(malloc(1000));
	before = mappings();
	for (int wave = 0; wave < WAVES; wave++) {
		pthread_t threads[WAVE];

		for (long i = 0; i < WAVE; i++) {
			pthread_attr_t attr;

			pthread_attr_init(&attr);
			pthread_attr_setdetachstate(&attr, i % 2);
			check("pthread_create", pthread_create(&threads[i], &attr, i % 2 ? detached : thread, (void *)i) == 0);
			expected += i;
		}
		for (long i = 0; i < WAVE; i++) {
			void *result;

			if (i % 2)
				sem_wait(&gone);
			else
				check("pthread_join", pthread_join(threads[i], &result) == 0 && result == (void *)(2 * i));
		}
	}
	check("the sum", sum == expected);
	check("the first thread's storage", own == -1);
	while (mappings() > before && left-- > 0)
		usleep(10000);
	check("mappings", left > 0);
	printf("%d threads, sum %ld, no mapping left behind\n", WAVES * WAVE, sum);

	check("posix_spawn", posix_spawn(&pid, "/proc/self/exe", NULL, NULL, spawned_argv, environment) == 0);
	check("waitpid", waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 42);
	check("posix_spawn's error", posix_spawn(&pid, "/nonexistent", NULL, NULL, spawned_argv, environment) == ENOENT);
	pid = clone(cloned, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, &number);
	check("clone", pid > 0 && waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 21);
	errno = 0;
	check("clone's error", clone(cloned, stack + sizeof stack, CLONE_SIGHAND | SIGCHLD, &number) == -1 && errno == EINVAL);
	puts("spawned, cloned, and refused");
	return 0;
}
