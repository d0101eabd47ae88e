/*
 * Sends one record, and prints the result and the milliseconds it took.
 *
 * usage: send [-c CONFIG] [-p PAYLOAD | -n] [-e EVENT_ID] [-r REPEAT]
 */

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <telemetry.h>
#include <time.h>
#include <unistd.h>

static long milliseconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
	struct telem_ref *ref = NULL;
	char *payload = (char *)"ping";
	char *event_id = NULL;
	int option, ret = 0, repeat = 1;

	while ((option = getopt(argc, argv, "c:p:ne:r:")) != -1) {
		switch (option) {
		case 'c':
			ret = tm_set_config_file(optarg);
			break;
		case 'p':
			payload = optarg;
			break;
		case 'n':
			payload = NULL;
			break;
		case 'e':
			event_id = optarg;
			break;
		case 'r':
			repeat = atoi(optarg);
			break;
		default:
			return 2;
		}
	}
	if (ret != 0 || tm_create_record(&ref, 2, (char *)"org.example/demo/ping", 1) != 0 ||
	    (payload && tm_set_payload(ref, payload) != 0) ||
	    (event_id && tm_set_event_id(ref, event_id) != 0)) {
		return 3;
	}
	while (repeat--) {
		long start = milliseconds(CLOCK_MONOTONIC);
		long start_cpu = milliseconds(CLOCK_PROCESS_CPUTIME_ID);

		ret = tm_send_record(ref);
		printf("%d %ld %ld\n", ret, milliseconds(CLOCK_MONOTONIC) - start,
		       milliseconds(CLOCK_PROCESS_CPUTIME_ID) - start_cpu);
	}
	tm_free_record(ref);
	return 0;
}
