/*
 * The tutorial program: sends one record that says "hello".
 *
 *   gcc test.c -ltelemetry -o test_telem
 */

#define _GNU_SOURCE
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <telemetry.h>

int main(void)
{
	struct telem_ref *record = NULL;
	uint32_t severity = 1;
	uint32_t payload_version = 1;
	char classification[30] = "org.clearlinux/hello/world";
	char *payload = NULL;
	int ret;

	if (asprintf(&payload, "hello\n") < 0) {
		return EXIT_FAILURE;
	}

	if ((ret = tm_create_record(&record, severity, classification, payload_version)) < 0) {
		printf("Failed to create record: %s\n", strerror(-ret));
	} else if ((ret = tm_set_payload(record, payload)) < 0) {
		printf("Failed to set record payload: %s\n", strerror(-ret));
	} else if ((ret = tm_send_record(record)) < 0) {
		printf("Failed to send record to daemon: %s\n", strerror(-ret));
	} else {
		printf("Successfully sent record to daemon.\n");
	}

	tm_free_record(record);
	free(payload);
	return ret < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
