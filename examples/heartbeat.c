/*
 * A small probe: tells once that this machine is alive.
 *
 *   gcc heartbeat.c -o heartbeat $(pkg-config --cflags --libs libtelemetry)
 *
 * A probe runs on the machines of others. It asks for their consent before it
 * works, says what went wrong in words that help, and gives exit status 1.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <telemetry.h>

#define SEVERITY_LOW 1
#define PAYLOAD_VERSION 1

static int fail(const char *step, int ret)
{
	fprintf(stderr, "heartbeat: %s: %s\n", step, strerror(-ret));
	return EXIT_FAILURE;
}

int main(void)
{
	struct telem_ref *record = NULL;
	char classification[] = "org.example/heartbeat/ping";
	char payload[] = "hello\n";
	int ret;
	int status = EXIT_SUCCESS;

	if (!tm_is_opted_in()) {
		fprintf(stderr, "heartbeat: telemetry is switched off on this machine\n");
		return EXIT_FAILURE;
	}
	ret = tm_create_record(&record, SEVERITY_LOW, classification, PAYLOAD_VERSION);
	if (ret < 0) {
		return fail("cannot create a record", ret);
	}
	if ((ret = tm_set_payload(record, payload)) < 0) {
		status = fail("cannot set the payload", ret);
	} else if ((ret = tm_send_record(record)) < 0) {
		status = fail("cannot send the record", ret);
	}
	tm_free_record(record);
	return status;
}
