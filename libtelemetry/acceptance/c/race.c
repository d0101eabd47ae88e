/* Breaks the rule that one record belongs to one thread: a control, in which
   ThreadSanitizer must see a race. */

#include <pthread.h>
#include <telemetry.h>

static struct telem_ref *shared;

static void *set(void *payload)
{
	int i;

	for (i = 0; i < 1000; i++) {
		tm_set_event_id(shared, payload);
	}
	return 0;
}

int main(void)
{
	pthread_t one, two;

	if (tm_create_record(&shared, 1, (char *)"a/b/c", 1) != 0) {
		return 1;
	}
	pthread_create(&one, 0, set, "00000000000000000000000000000000");
	pthread_create(&two, 0, set, "11111111111111111111111111111111");
	pthread_join(one, 0);
	pthread_join(two, 0);
	tm_free_record(shared);
	return 0;
}
