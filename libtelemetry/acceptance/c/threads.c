/*
 * 16 threads that create, fill, send and free records, and choose
 * configuration files, while a test changes os-release: its ID and VERSION_ID
 * always belong together.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <telemetry.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define THREADS 16
#define SECONDS 4

struct result {
	int records, sent, failures;
};

static void *work(void *argument)
{
	struct result *result = argument;
	time_t end = time(NULL) + SECONDS;
	char payload[2000];
	int round;

	memset(payload, 'p', sizeof payload - 1);
	payload[sizeof payload - 1] = '\0';
	for (round = 0; time(NULL) < end; round++) {
		struct telem_ref *ref = NULL;
		char build[40] = "", id[40] = "";

		result->failures += tm_create_record(&ref, 1, (char *)"a/b/c", 1) != 0;
		result->failures += sscanf(ref->record->headers[7], "build: %39s", build) != 1;
		result->failures += sscanf(ref->record->headers[10], "system_name: %39s", id) != 1;
		result->failures += strcmp(build, id) != 0;
		result->failures += tm_set_payload(ref, payload) != 0;
		result->failures += tm_set_payload(ref, (char *)"short") != 0;
		result->failures += tm_set_event_id(ref, (char *)"0123456789abcdef0123456789abcdef") != 0;
		if (round % 50 == 0) {
			result->failures += tm_set_config_file(round % 100 ? "/etc/one.conf" : "/etc/two.conf") != 0;
			result->failures += tm_send_record(ref) != 0;
			result->failures += tm_is_opted_in() != 1;
			result->sent++;
		}
		tm_free_record(ref);
		result->records++;
	}
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS];
	struct result results[THREADS] = { { 0, 0, 0 } };
	int i, records = 0, sent = 0;

	for (i = 0; i < THREADS; i++) {
		CHECK_INT(pthread_create(&threads[i], NULL, work, &results[i]), 0);
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		CHECK_INT(results[i].failures, 0);
		CHECK(results[i].records > 0);
		records += results[i].records;
		sent += results[i].sent;
	}
	printf("%d threads, %d records, %d sent\n", THREADS, records, sent);
	return finish();
}
