/* Sends a record, chooses the file that the argument names, and sends again. */

#include <telemetry.h>

int main(int argc, char **argv)
{
	struct telem_ref *ref = 0;

	return argc != 2 || tm_create_record(&ref, 1, (char *)"a/b/c", 1) != 0 || tm_send_record(ref) != 0 ||
	       tm_set_config_file(argv[1]) != 0 || tm_send_record(ref) != 0 ||
	       (tm_free_record(ref), 0);
}
