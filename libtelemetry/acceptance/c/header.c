/* Compiled as C and as C++, by every standard; includes the header twice. */
#include <telemetry.h>
#include <telemetry.h>

int main(void)
{
	struct telem_ref *record = 0;
	int result = tm_create_record(&record, (uint32_t)1, (char *)"a/b/c", (uint32_t)1);

	/* Programs store the functions in pointers of just these types. */
	int (*create)(struct telem_ref **, uint32_t, char *, uint32_t) = tm_create_record;
	int (*set_payload)(struct telem_ref *, char *) = tm_set_payload;
	int (*set_event_id)(struct telem_ref *, char *) = tm_set_event_id;
	int (*send_record)(struct telem_ref *) = tm_send_record;
	void (*free_record)(struct telem_ref *) = tm_free_record;
	int (*set_config_file)(const char *) = tm_set_config_file;
	int (*is_opted_in)(void) = tm_is_opted_in;

	tm_free_record(record);
	return result != 0 || !create || !set_payload || !set_event_id || !send_record || !free_record ||
	       !set_config_file || !is_opted_in;
}
