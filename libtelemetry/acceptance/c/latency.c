/*
 * Sends records one after the other, and prints the result of each and the
 * microseconds it took.
 *
 * usage: latency COUNT
 */

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <telemetry.h>
#include <time.h>

static long long nanoseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

int main(int argc, char **argv)
{
	int count = argc == 2 ? atoi(argv[1]) : 0;

	while (count-- > 0) {
		struct telem_ref *ref = NULL;
		long long start;
		int ret;

		if (tm_create_record(&ref, 2, (char *)"org.example/demo/ping", 1) != 0 ||
		    tm_set_payload(ref, (char *)"measured") != 0) {
			return 3;
		}
		start = nanoseconds();
		ret = tm_send_record(ref);
		printf("%d %lld\n", ret, (nanoseconds() - start) / 1000);
		tm_free_record(ref);
	}
	return 0;
}
