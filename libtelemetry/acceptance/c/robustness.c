/*
 * The library in hosts that are not well: no descriptors, no standard streams,
 * small stacks, interrupted calls, children of fork. Each is a run of its own,
 * named by the argument.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <telemetry.h>
#include <unistd.h>

#include "check.h"

static struct telem_ref *create(void)
{
	struct telem_ref *ref = NULL;

	CHECK_INT(tm_create_record(&ref, 1, (char *)"a/b/c", 1), 0);
	return ref;
}

static void a_whole_record(void)
{
	struct telem_ref *ref = create();

	CHECK_INT(tm_set_payload(ref, (char *)"payload"), 0);
	CHECK_INT(tm_set_event_id(ref, (char *)"0123456789abcdef0123456789abcdef"), 0);
	CHECK_INT(tm_send_record(ref), 0);
	tm_free_record(ref);
}

static void no_descriptors(void)
{
	struct rlimit saved, none;
	struct telem_ref *ref;

	getrlimit(RLIMIT_NOFILE, &saved);
	none = saved;
	none.rlim_cur = 3;
	CHECK_INT(setrlimit(RLIMIT_NOFILE, &none), 0);
	ref = create();
	CHECK_TEXT(ref->record->headers[10], "system_name: unknown\n");
	CHECK_TEXT(ref->record->headers[12], "cpu_model: blank\n");
	CHECK_INT(tm_send_record(ref), -EMFILE);
	tm_free_record(ref);

	/* What could not be read then is read now. */
	CHECK_INT(setrlimit(RLIMIT_NOFILE, &saved), 0);
	ref = create();
	CHECK_TEXT(ref->record->headers[10], "system_name: testos\n");
	CHECK_INT(tm_send_record(ref), 0);
	tm_free_record(ref);

	/* And what is known stays known. */
	CHECK_INT(setrlimit(RLIMIT_NOFILE, &none), 0);
	ref = create();
	CHECK_TEXT(ref->record->headers[10], "system_name: testos\n");
	tm_free_record(ref);
	CHECK_INT(setrlimit(RLIMIT_NOFILE, &saved), 0);
}

static void closed_streams(void)
{
	int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
	struct telem_ref *ref;

	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	close(STDERR_FILENO);
	a_whole_record();
	ref = create();
	CHECK_INT(tm_set_config_file("/etc/missing"), -ENOENT);
	tm_free_record(ref);
	/* Nothing was left open at their numbers. */
	CHECK_INT(dup2(out, STDOUT_FILENO), STDOUT_FILENO);
	CHECK_INT(fcntl(STDIN_FILENO, F_GETFD), -1);
	CHECK_INT(fcntl(STDERR_FILENO, F_GETFD), -1);
}

static void *in_a_thread(void *unused)
{
	a_whole_record();
	return unused;
}

static void small_stack(void)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	CHECK_INT(pthread_attr_setstacksize(&attributes, 64 * 1024), 0);
	CHECK_INT(tm_set_config_file("/etc/chosen.conf"), 0);
	CHECK_INT(pthread_create(&thread, &attributes, in_a_thread, NULL), 0);
	pthread_join(thread, NULL);
	pthread_attr_destroy(&attributes);
}

static void masked_signals(void)
{
	sigset_t all, before, after;
	struct sigaction pipe_before, pipe_after;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	sigprocmask(SIG_SETMASK, NULL, &before);
	sigaction(SIGPIPE, NULL, &pipe_before);
	a_whole_record();
	sigprocmask(SIG_SETMASK, NULL, &after);
	sigaction(SIGPIPE, NULL, &pipe_after);
	CHECK_INT(memcmp(&before, &after, sizeof before), 0);
	CHECK(pipe_before.sa_handler == pipe_after.sa_handler);
	sigpending(&after);
	CHECK_INT(sigismember(&after, SIGPIPE), 0);
}

static volatile sig_atomic_t interruptions;

static void interrupt(int signal)
{
	(void)signal;
	interruptions++;
}

static void interrupted_calls(void)
{
	struct sigaction action = { .sa_handler = interrupt };
	struct itimerval every = { { 0, 500 }, { 0, 500 } };
	int i;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	for (i = 0; i < 100000 && interruptions < 50; i++) {
		a_whole_record();
	}
	setitimer(ITIMER_REAL, &(struct itimerval){ { 0, 0 }, { 0, 0 } }, NULL);
	CHECK(interruptions >= 50);
}

static void *in_a_thread_with_signals(void *unused)
{
	struct sigaction action = { .sa_handler = interrupt };

	sigaction(SIGUSR1, &action, NULL);
	a_whole_record();
	return unused;
}

/* The smallest stack of all, and a signal handler that needs room on it while
   the library waits. */
static void smallest_stack(void)
{
	static char stack[16 * 1024] __attribute__((aligned(16)));
	pthread_attr_t attributes;
	pthread_t thread;

	CHECK_INT(tm_set_config_file("/etc/chosen.conf"), 0);
	pthread_attr_init(&attributes);
	CHECK_INT(pthread_attr_setstack(&attributes, stack, sizeof stack), 0);
	CHECK_INT(pthread_create(&thread, &attributes, in_a_thread_with_signals, NULL), 0);
	usleep(200 * 1000);
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
	CHECK_INT(interruptions, 1);
}

static int open_descriptors(void)
{
	int fd, count = 0;

	for (fd = 0; fd < 256; fd++) {
		count += fcntl(fd, F_GETFD) != -1;
	}
	return count;
}

static void cancelled_threads(void)
{
	int before = open_descriptors();
	int i;

	for (i = 0; i < 10; i++) {
		pthread_t thread;

		pthread_create(&thread, NULL, in_a_thread, NULL);
		usleep(20 * 1000);
		pthread_cancel(thread);
		pthread_join(thread, NULL);
	}
	CHECK_INT(open_descriptors(), before);
}

static volatile int stop;

static void *create_without_end(void *unused)
{
	while (!stop) {
		struct telem_ref *ref = NULL;

		tm_set_config_file("/etc/chosen.conf");
		tm_create_record(&ref, 1, (char *)"a/b/c", 1);
		tm_set_payload(ref, (char *)"x");
		tm_free_record(ref);
	}
	return unused;
}

static void children_of_fork(void)
{
	pthread_t threads[4];
	struct telem_ref *inherited;
	int i, status;

	for (i = 0; i < 4; i++) {
		pthread_create(&threads[i], NULL, create_without_end, NULL);
	}
	inherited = create();
	CHECK_INT(tm_set_payload(inherited, (char *)"inherited"), 0);
	for (i = 0; i < 300; i++) {
		int ends[2];
		char theirs[64] = "";
		struct telem_ref *ours;
		pid_t child;

		CHECK_INT(pipe(ends), 0);
		child = fork();
		if (child == 0) {
			struct telem_ref *ref;

			/* A lock that another thread held would hang here. */
			alarm(10);
			checks_failed = 0;
			CHECK_INT(tm_set_config_file("/etc/chosen.conf"), 0);
			ref = create();
			CHECK_INT(tm_set_payload(ref, (char *)"x"), 0);
			if (i % 30 == 0) {
				CHECK_INT(tm_send_record(ref), 0);
				CHECK_INT(tm_send_record(inherited), 0);
			}
			CHECK(write(ends[1], ref->record->headers[14], 43) == 43);
			tm_free_record(ref);
			tm_free_record(inherited);
			_exit(checks_failed);
		}
		ours = create();
		CHECK_INT(read(ends[0], theirs, 43), 43);
		CHECK(strcmp(theirs, ours->record->headers[14]) != 0);
		tm_free_record(ours);
		close(ends[0]);
		close(ends[1]);
		waitpid(child, &status, 0);
		CHECK_INT(status, 0);
	}
	stop = 1;
	for (i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
	}
	tm_free_record(inherited);
}

static const struct {
	const char *name;
	void (*run)(void);
} runs[] = {
	{ "no_descriptors", no_descriptors },
	{ "closed_streams", closed_streams },
	{ "small_stack", small_stack },
	{ "smallest_stack", smallest_stack },
	{ "cancelled_threads", cancelled_threads },
	{ "masked_signals", masked_signals },
	{ "interrupted_calls", interrupted_calls },
	{ "children_of_fork", children_of_fork },
	{ "a_whole_record", a_whole_record },
};

int main(int argc, char **argv)
{
	size_t i;

	for (i = 0; argc == 2 && i < sizeof runs / sizeof *runs; i++) {
		if (strcmp(argv[1], runs[i].name) == 0) {
			runs[i].run();
			return finish();
		}
	}
	fprintf(stderr, "unknown run\n");
	return 2;
}
