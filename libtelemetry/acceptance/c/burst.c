/*
 * Sends records without end, each with its own event id, and prints the id of
 * every one that was acknowledged.
 *
 * usage: burst NUMBER   a number that no other burst has
 */

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <telemetry.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	unsigned long number;
	char id[33];

	if (argc != 2) {
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (number = 0;; number++) {
		struct telem_ref *ref = NULL;

		snprintf(id, sizeof id, "%016lx%016lx", strtoul(argv[1], NULL, 10), number);
		if (tm_create_record(&ref, 1, (char *)"org.example/burst/record", 1) != 0 ||
		    tm_set_event_id(ref, id) != 0 || tm_set_payload(ref, id) != 0) {
			return 3;
		}
		if (tm_send_record(ref) == 0) {
			puts(id);
		} else {
			usleep(1000);
		}
		tm_free_record(ref);
	}
}
