/*
 * Prints the headers of a new record; another one for every byte of standard
 * input, and at its end 10,000 that are not printed.
 */

#include <stdio.h>
#include <telemetry.h>

#include "layout.h"

int main(void)
{
	struct telem_ref *ref = NULL;
	int i;

	do {
		if (tm_create_record(&ref, 1, (char *)"a/b/c", 1) != 0) {
			return 1;
		}
		for (i = 0; i < 15; i++) {
			fputs(ref->record->headers[i], stdout);
		}
		fflush(stdout);
		tm_free_record(ref);
	} while (getchar() != EOF);
	for (i = 0; i < 10000; i++) {
		tm_create_record(&ref, 1, (char *)"a/b/c", 1);
		tm_free_record(ref);
	}
	return 0;
}
