/*
 * Several programs that send records at the same time, each in a process of its
 * own.
 *
 * usage: load SENDERS COUNT SIZE INTERVAL
 *
 * Each sends COUNT records with a payload of SIZE bytes: without a pause if
 * INTERVAL is 0, else every INTERVAL microseconds, whether those before were
 * fast or slow. Prints "ready" when all senders wait, starts them when its
 * input ends, and prints "done" when all records were acknowledged; then, for
 * each of them, the nanoseconds that tm_send_record took. A sender that comes
 * late because of the record before counts from the time at which it should
 * have sent.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <telemetry.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * SECOND + time.tv_nsec;
}

static void sleep_until(int64_t moment)
{
	struct timespec time = { moment / SECOND, moment % SECOND };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR)
		;
}

static int send_all(int64_t *took, long count, char *payload, int64_t first, int64_t interval)
{
	long number;

	for (number = 0; number < count; number++) {
		struct telem_ref *ref = NULL;
		int64_t start, due = first + number * interval;
		int ret;

		if (tm_create_record(&ref, 1, (char *)"org.example/load/record", 1) != 0 ||
		    tm_set_payload(ref, payload) != 0) {
			return 3;
		}
		start = now();
		if (interval != 0 && start < due) {
			sleep_until(due);
			start = now();
		} else if (interval != 0) {
			start = due;
		}
		ret = tm_send_record(ref);
		took[number] = now() - start;
		tm_free_record(ref);
		if (ret != 0) {
			fprintf(stderr, "tm_send_record: %s\n", strerror(-ret));
			return 4;
		}
	}
	return 0;
}

/* Waits until the write end of the pipe is closed everywhere. */
static void wait_for_end(int end)
{
	char byte;

	while (read(end, &byte, 1) > 0)
		;
}

int main(int argc, char **argv)
{
	long i, senders, count, size;
	int64_t interval, *took;
	int start[2], ready[2], status, failed = 0;
	char *payload;

	if (argc != 5) {
		return 2;
	}
	senders = atol(argv[1]);
	count = atol(argv[2]);
	size = atol(argv[3]);
	interval = atol(argv[4]) * 1000;
	payload = calloc(1, size + 1);
	took = mmap(NULL, senders * count * sizeof *took, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE,
		    -1, 0);
	if (!payload || took == MAP_FAILED || pipe(start) != 0 || pipe(ready) != 0) {
		return 2;
	}
	memset(payload, 'p', size);
	/* Else the kernel lets sleepers wait for 50 microseconds more. */
	prctl(PR_SET_TIMERSLACK, 1);
	for (i = 0; i < senders; i++) {
		pid_t sender = fork();

		if (sender < 0) {
			return 2;
		}
		if (sender == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			close(start[1]);
			close(ready[0]);
			close(ready[1]);
			wait_for_end(start[0]);
			_exit(send_all(took + i * count, count, payload, now() + i * interval / senders, interval));
		}
	}
	close(ready[1]);
	wait_for_end(ready[0]);
	puts("ready");
	fflush(stdout);
	wait_for_end(STDIN_FILENO);
	close(start[1]);
	while (wait(&status) > 0) {
		failed |= status;
	}
	if (failed) {
		return 4;
	}
	puts("done");
	fflush(stdout);
	for (i = 0; i < senders * count; i++) {
		printf("%lld\n", (long long)took[i]);
	}
	return 0;
}
