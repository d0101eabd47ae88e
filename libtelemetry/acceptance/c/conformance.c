/*
 * Every row of the interface's contract, as a C program meets it.
 *
 * Runs in a private root: it opts in and out, and writes configuration files.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <telemetry.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define CLASS (char *)"org.example/demo/ping"
#define OPT_IN "/etc/telemetrics/opt-in"
#define CONFIG "/etc/telemetrics/telemetrics.conf"

static struct telem_ref *const UNTOUCHED = (struct telem_ref *)8;

static struct telem_ref *create(void)
{
	struct telem_ref *ref = NULL;

	CHECK_INT(tm_create_record(&ref, 2, CLASS, 1), 0);
	return ref;
}

static void consent(int given)
{
	unlink(OPT_IN);
	if (given) {
		close(open(OPT_IN, O_CREAT | O_WRONLY, 0644));
	}
}

static void config(const char *text)
{
	unlink(CONFIG);
	if (text) {
		FILE *file = fopen(CONFIG, "w");

		fputs(text, file);
		fclose(file);
	}
}

/* Runs a check as a user without rights. */
static void as_nobody(void (*check)(void))
{
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		checks_failed = checks_passed = 0;
		if (setuid(65534) == 0) {
			check();
		}
		fflush(stdout);
		_exit(checks_failed || !checks_passed);
	}
	waitpid(child, &status, 0);
	CHECK_INT(status, 0);
}

static char *repeat(char byte, size_t count)
{
	char *text = malloc(count + 1);

	memset(text, byte, count);
	text[count] = '\0';
	return text;
}

/* ---- tm_create_record ---- */

static int create_class(const char *classification)
{
	struct telem_ref *ref = UNTOUCHED;
	int ret = tm_create_record(&ref, 1, (char *)classification, 1);

	if (ret == 0) {
		char line[200];

		snprintf(line, sizeof line, "classification: %s\n", classification);
		CHECK_TEXT(ref->record->headers[1], line);
		tm_free_record(ref);
	} else {
		CHECK(ref == NULL);
	}
	return ret;
}

static int create_parts(size_t first, size_t second, size_t third)
{
	char text[400];
	char *a = repeat('a', first), *b = repeat('b', second), *c = repeat('c', third);
	int ret;

	snprintf(text, sizeof text, "%s/%s/%s", a, b, c);
	ret = create_class(text);
	free(a);
	free(b);
	free(c);
	return ret;
}

static void classification_limits(void)
{
	CHECK_INT(create_parts(40, 40, 40), 0);
	CHECK_INT(create_parts(41, 40, 39), 0);
	CHECK_INT(create_parts(41, 39, 40), 0);
	CHECK_INT(create_parts(41, 40, 40), -EINVAL);
	CHECK_INT(create_parts(40, 41, 10), -EINVAL);
	CHECK_INT(create_parts(40, 10, 41), -EINVAL);
	CHECK_INT(create_parts(1, 40, 1), 0);
	CHECK_INT(create_parts(1, 1, 40), 0);
	CHECK_INT(create_parts(100, 100, 100), -EINVAL);
	CHECK_INT(create_class("t/t/t"), 0);
	CHECK_INT(create_class("//"), 0);
	CHECK_INT(create_class("a b/c\"d/e'f"), 0);
	CHECK_INT(create_class("t/t"), -EINVAL);
	CHECK_INT(create_class("t"), -EINVAL);
	CHECK_INT(create_class("t/t/t/t"), -EINVAL);
	CHECK_INT(create_class("///"), -EINVAL);
}

static void a5_an_empty_classification_is_refused(void)
{
	CHECK_INT(create_class(""), -EINVAL);
}

static void a6_a_first_part_of_41_bytes_is_accepted(void)
{
	CHECK_INT(create_parts(41, 0, 0), 0);
	CHECK_INT(create_parts(41, 40, 39), 0);
	CHECK_INT(create_parts(42, 0, 0), -EINVAL);
}

static void a7_control_characters_are_refused_and_others_are_not(void)
{
	int byte;

	for (byte = 1; byte < 256; byte++) {
		char text[] = "a/?/c";
		int is_control = byte < 0x20 || byte == 0x7f;

		text[2] = (char)byte;
		CHECK_INT(create_class(text), is_control || byte == '/' ? -EINVAL : 0);
	}
}

static void a3_a_failed_create_stores_null(void)
{
	struct telem_ref *ref = UNTOUCHED;

	CHECK_INT(tm_create_record(&ref, 1, (char *)"bad", 1), -EINVAL);
	CHECK(ref == NULL);
	tm_free_record(ref);
	ref = UNTOUCHED;
	CHECK_INT(tm_create_record(&ref, 1, NULL, 1), -EINVAL);
	CHECK(ref == NULL);
}

static void severity_is_clamped(void)
{
	static const uint32_t given[] = { 0, 1, 2, 3, 4, 5, 1000, UINT32_MAX };
	static const char *const lines[] = { "severity: 1\n", "severity: 1\n", "severity: 2\n",
					     "severity: 3\n", "severity: 4\n", "severity: 4\n",
					     "severity: 4\n", "severity: 4\n" };
	size_t i;

	for (i = 0; i < sizeof given / sizeof *given; i++) {
		struct telem_ref *ref = NULL;

		CHECK_INT(tm_create_record(&ref, given[i], CLASS, 1), 0);
		CHECK_TEXT(ref->record->headers[2], lines[i]);
		tm_free_record(ref);
	}
}

static void any_payload_version_is_printed(void)
{
	static const uint32_t given[] = { 0, 1, 2000, 2147483648u, UINT32_MAX };
	size_t i;

	for (i = 0; i < sizeof given / sizeof *given; i++) {
		struct telem_ref *ref = NULL;
		char line[60];

		CHECK_INT(tm_create_record(&ref, 1, CLASS, given[i]), 0);
		snprintf(line, sizeof line, "payload_format_version: %u\n", given[i]);
		CHECK_TEXT(ref->record->headers[9], line);
		tm_free_record(ref);
	}
}

static void headers_are_15_lines_in_their_order(void)
{
	static const char *const names[15] = {
		"record_format_version", "classification", "severity",	"machine_id",
		"creation_timestamp",	 "arch",	   "host_type", "build",
		"kernel_version",	 "payload_format_version", "system_name", "board_name",
		"cpu_model",		 "bios_version",   "event_id",
	};
	time_t before = time(NULL);
	struct telem_ref *ref = create();
	time_t after = time(NULL);
	struct telem_record *record = ref->record;
	size_t i, sum = 0;
	long long created = 0;

	for (i = 0; i < 15; i++) {
		size_t len = strlen(record->headers[i]);
		char prefix[60];
		size_t prefix_len = (size_t)snprintf(prefix, sizeof prefix, "%s: ", names[i]);

		CHECK(strncmp(record->headers[i], prefix, prefix_len) == 0);
		CHECK(len > prefix_len + 1);
		CHECK(record->headers[i][len - 1] == '\n');
		CHECK(strchr(record->headers[i], '\n') == record->headers[i] + len - 1);
		sum += len;
	}
	CHECK_INT(record->header_size, sum);
	CHECK(record->payload == NULL);
	CHECK_INT(record->payload_size, 0);
	CHECK_TEXT(record->headers[0], "record_format_version: 4\n");
	CHECK_TEXT(record->headers[3], "machine_id: FFFFFFFF\n");
	CHECK_INT(sscanf(record->headers[4], "creation_timestamp: %lld\n", &created), 1);
	CHECK(created >= before - 1 && created <= after + 1);
	CHECK_INT(strlen(record->headers[14]), 10 + 32 + 1);
	CHECK_INT(strspn(record->headers[14] + 10, "0123456789abcdef"), 32);
	tm_free_record(ref);
}

static void layout_of_a_record(void)
{
	CHECK_INT(sizeof(struct telem_ref), sizeof(void *));
	CHECK_INT(offsetof(struct telem_ref, record), 0);
#if defined(__LP64__)
	CHECK_INT(offsetof(struct telem_record, payload), 120);
	CHECK_INT(offsetof(struct telem_record, header_size), 128);
	CHECK_INT(offsetof(struct telem_record, payload_size), 136);
	CHECK_INT(sizeof(struct telem_record), 144);
#endif
}

static void event_ids_differ(void)
{
	struct telem_ref *one = create();
	struct telem_ref *two = create();

	CHECK(strcmp(one->record->headers[14], two->record->headers[14]) != 0);
	tm_free_record(one);
	tm_free_record(two);
}

static void strings_are_copied_and_left_unchanged(void)
{
	char classification[] = "org.example/demo/ping";
	char payload[] = "payload";
	char id[] = "0123456789abcdef0123456789abcdef";
	struct telem_ref *ref = NULL;

	CHECK_INT(tm_create_record(&ref, 1, classification, 1), 0);
	CHECK_INT(tm_set_payload(ref, payload), 0);
	CHECK_INT(tm_set_event_id(ref, id), 0);
	CHECK_TEXT(classification, "org.example/demo/ping");
	CHECK_TEXT(payload, "payload");
	CHECK_TEXT(id, "0123456789abcdef0123456789abcdef");
	memset(classification, 'X', sizeof classification - 1);
	memset(payload, 'X', sizeof payload - 1);
	memset(id, 'X', sizeof id - 1);
	CHECK_TEXT(ref->record->headers[1], "classification: org.example/demo/ping\n");
	CHECK_TEXT(ref->record->payload, "payload");
	CHECK_TEXT(ref->record->headers[14], "event_id: 0123456789abcdef0123456789abcdef\n");
	tm_free_record(ref);
}

/* ---- tm_set_payload ---- */

static void payload_bytes(void)
{
	struct telem_ref *ref = create();
	int byte;

	CHECK_INT(tm_set_payload(ref, (char *)"before"), 0);
	for (byte = 1; byte < 256; byte++) {
		char text[] = "a?c";
		int is_allowed = (byte >= 0x20 && byte <= 0x7e) || (byte >= 0x09 && byte <= 0x0d);

		text[1] = (char)byte;
		CHECK_INT(tm_set_payload(ref, text), is_allowed ? 0 : -EINVAL);
		if (is_allowed) {
			CHECK_TEXT(ref->record->payload, text);
			CHECK_INT(tm_set_payload(ref, (char *)"before"), 0);
		} else {
			CHECK_TEXT(ref->record->payload, "before");
			CHECK_INT(ref->record->payload_size, 6);
		}
	}
	CHECK_INT(tm_set_payload(ref, (char *)"gr\xc3\xbc\xc3\x9f"), -EINVAL);
	tm_free_record(ref);
}

static void payload_lengths(void)
{
	static const size_t lengths[] = { 0, 1, 7, 8, 9, 4095, 4096, 8186, 8187, 8188, 8191, 8192, 8193, 20000 };
	size_t i;

	for (i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		struct telem_ref *ref = create();
		char *text = repeat('x', lengths[i]);
		size_t kept = lengths[i] > 8192 ? 8192 : lengths[i];

		CHECK_INT(tm_set_payload(ref, text), 0);
		CHECK_INT(ref->record->payload_size, kept);
		CHECK_INT(strlen(ref->record->payload), kept);
		free(text);
		tm_free_record(ref);
	}
}

static void a18_a_long_payload_is_cut_and_only_what_is_kept_is_judged(void)
{
	struct telem_ref *ref = create();
	char *text = repeat('x', 9000);

	text[8192] = (char)0xff;
	CHECK_INT(tm_set_payload(ref, text), 0);
	CHECK_INT(ref->record->payload_size, 8192);
	text[8191] = (char)0xff;
	CHECK_INT(tm_set_payload(ref, text), -EINVAL);
	CHECK_INT(ref->record->payload_size, 8192);
	free(text);
	tm_free_record(ref);
}

static void a2_a_second_payload_replaces_the_first(void)
{
	struct telem_ref *ref = create();
	int i;

	for (i = 0; i < 100; i++) {
		CHECK_INT(tm_set_payload(ref, (char *)(i % 2 ? "second" : "a longer first one")), 0);
	}
	CHECK_TEXT(ref->record->payload, "second");
	CHECK_INT(ref->record->payload_size, 6);
	CHECK_INT(tm_set_payload(ref, (char *)""), 0);
	CHECK_TEXT(ref->record->payload, "");
	CHECK_INT(ref->record->payload_size, 0);
	tm_free_record(ref);
}

/* The locales in which other bytes are printable are not installed everywhere:
   that the library does not ask the locale at all, its imports show. */
static void a19_the_locale_does_not_matter(void)
{
	static const char *const locales[] = { "C", "C.UTF-8" };
	size_t i;

	for (i = 0; i < sizeof locales / sizeof *locales; i++) {
		struct telem_ref *ref = create();

		CHECK(setlocale(LC_ALL, locales[i]) != NULL);
		CHECK_INT(tm_set_payload(ref, (char *)"\xc3\xbc"), -EINVAL);
		CHECK_INT(tm_set_payload(ref, (char *)"\xa0"), -EINVAL);
		CHECK_INT(tm_set_payload(ref, (char *)"u \t\r\n\v\f"), 0);
		tm_free_record(ref);
	}
	setlocale(LC_ALL, "C");
}

/* ---- tm_set_event_id ---- */

static void event_ids_of_every_wrong_form(void)
{
	static const char *const wrong[] = {
		"",
		"0",
		"0123456789abcdef0123456789abcde",
		"0123456789abcdef0123456789abcdef0",
		"0123456789abcdef0123456789abcdef\n",
		"0123456789ABCDEF0123456789abcdef",
		"0123456789abcdeF0123456789abcdef",
		"g123456789abcdef0123456789abcdef",
		"0123456789abcdef0123456789abcde/",
		"0123456789abcdef0123456789abcde:",
		"0123456789abcdef0123456789abcde`",
		" 123456789abcdef0123456789abcdef",
		"0123456789abcdef\xc3\xbc" "23456789abcdef",
		"0123456789abcdef0123456789abcdef0123456789a",
	};
	struct telem_ref *ref = create();
	size_t i;

	CHECK_INT(tm_set_event_id(ref, (char *)"aaaaaa00000033333344444466666622"), 0);
	for (i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		CHECK_INT(tm_set_event_id(ref, (char *)wrong[i]), -1);
		CHECK_TEXT(ref->record->headers[14], "event_id: aaaaaa00000033333344444466666622\n");
	}
	CHECK_INT(tm_set_event_id(ref, NULL), -1);
	CHECK_TEXT(ref->record->headers[14], "event_id: aaaaaa00000033333344444466666622\n");
	tm_free_record(ref);
}

static void a21_a_new_event_id_keeps_the_sizes_right(void)
{
	struct telem_ref *ref = create();
	size_t before = ref->record->header_size;
	size_t i, sum = 0;

	for (i = 0; i < 100; i++) {
		CHECK_INT(tm_set_event_id(ref, (char *)(i % 2 ? "00000000000000000000000000000000"
							      : "ffffffffffffffffffffffffffffffff")),
			  0);
	}
	CHECK_TEXT(ref->record->headers[14], "event_id: 00000000000000000000000000000000\n");
	for (i = 0; i < 15; i++) {
		sum += strlen(ref->record->headers[i]);
	}
	CHECK_INT(ref->record->header_size, sum);
	CHECK_INT(ref->record->header_size, before);
	tm_free_record(ref);
}

/* ---- tm_set_config_file ---- */

static void unreachable_config_file(void)
{
	CHECK_INT(tm_set_config_file("/etc/telemetrics/locked/file"), -EACCES);
}

static void config_file_paths(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/etc/telemetrics/socket" };
	int socket_fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char *long_path = repeat('x', 5000);
	char *long_name = repeat('x', 300);

	long_path[0] = '/';
	long_name[0] = '/';
	config("");
	CHECK_INT(symlink("self", "/etc/telemetrics/self"), 0);
	CHECK_INT(symlink("missing", "/etc/telemetrics/dangling"), 0);
	CHECK_INT(symlink(CONFIG, "/etc/telemetrics/link"), 0);
	CHECK_INT(mkfifo("/etc/telemetrics/fifo", 0644), 0);
	CHECK_INT(bind(socket_fd, (struct sockaddr *)&address, sizeof address), 0);
	CHECK_INT(mkdir("/etc/telemetrics/locked", 0700), 0);
	close(open("/etc/telemetrics/locked/file", O_CREAT | O_WRONLY, 0644));

	CHECK_INT(tm_set_config_file(""), -EINVAL);
	CHECK_INT(tm_set_config_file("telemetrics.conf"), -EINVAL);
	CHECK_INT(tm_set_config_file("./telemetrics.conf"), -EINVAL);
	CHECK_INT(tm_set_config_file("/etc/telemetrics"), -EINVAL);
	CHECK_INT(tm_set_config_file("/dev/null"), -EINVAL);
	CHECK_INT(tm_set_config_file("/etc/telemetrics/fifo"), -EINVAL);
	CHECK_INT(tm_set_config_file("/etc/telemetrics/socket"), -EINVAL);
	CHECK_INT(tm_set_config_file("/etc/telemetrics/missing"), -ENOENT);
	CHECK_INT(tm_set_config_file("/etc/telemetrics/dangling"), -ENOENT);
	CHECK_INT(tm_set_config_file("/etc/telemetrics/telemetrics.conf/x"), -ENOTDIR);
	CHECK_INT(tm_set_config_file("/etc/telemetrics/self"), -ELOOP);
	CHECK_INT(tm_set_config_file(long_path), -ENAMETOOLONG);
	CHECK_INT(tm_set_config_file(long_name), -ENAMETOOLONG);
	CHECK_INT(tm_set_config_file("/etc/telemetrics/link"), 0);
	CHECK_INT(tm_set_config_file(CONFIG), 0);
	free(long_path);
	free(long_name);
	if (getuid() == 0) {
		as_nobody(unreachable_config_file);
	}

	config(NULL);
	close(socket_fd);
}

/* ---- tm_send_record without a daemon; with one: see sending.rs ---- */

static int send_one(void)
{
	struct telem_ref *ref = create();
	int ret = tm_send_record(ref);

	tm_free_record(ref);
	return ret;
}

static int config_and_send(const char *text)
{
	int ret;

	config(text);
	ret = send_one();
	config(NULL);
	return ret;
}

static void nothing_happens_without_consent(void)
{
	consent(0);
	CHECK_INT(send_one(), -ECONNREFUSED);
	CHECK_INT(config_and_send("this is wrong"), -ECONNREFUSED);
}

/* tm_set_config_file() holds for the process, so this one needs its own. */
static void chosen_file(void)
{
	config("[settings]\nsocket_path=/run/other\n");
	CHECK_INT(tm_set_config_file(CONFIG), 0);
	CHECK_INT(send_one(), -ENOENT);
	config("[settings]\nsocket_path");
	CHECK_INT(send_one(), -EINVAL);
	config(NULL);
	CHECK_INT(send_one(), -ENOENT);
}

static void unreadable_config_file(void)
{
	CHECK_INT(send_one(), -EACCES);
}

static void in_a_child(void (*check)(void))
{
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		checks_failed = checks_passed = 0;
		check();
		fflush(stdout);
		_exit(checks_failed || !checks_passed);
	}
	waitpid(child, &status, 0);
	CHECK_INT(status, 0);
}

static void sockets_without_a_daemon(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/run/telem-0" };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	consent(1);
	CHECK_INT(send_one(), -ENOENT);
	CHECK_INT(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	CHECK_INT(send_one(), -ECONNREFUSED);
	close(fd);
	CHECK_INT(send_one(), -ECONNREFUSED);
	unlink("/run/telem-0");
	close(open("/run/telem-0", O_CREAT | O_WRONLY, 0666));
	CHECK_INT(send_one(), -ECONNREFUSED);
	unlink("/run/telem-0");
	in_a_child(chosen_file);
	consent(0);
}

static void a10_a_malformed_configuration_is_an_error_and_no_more(void)
{
	consent(1);
	CHECK_INT(config_and_send("[settings"), -EINVAL);
	CHECK_INT(config_and_send("[settings]\nno assignment\n"), -EINVAL);
	CHECK_INT(config_and_send("socket_path=/run/x\n"), -EINVAL);
	CHECK_INT(config_and_send("\xef\xbb\xbf[settings]\n"), -EINVAL);
	CHECK_INT(config_and_send("[settings]\nrate_limit_enabled=perhaps\n"), -EINVAL);
	CHECK_INT(config_and_send("[settings]\nrecord_expiry=99999999999999999999\n"), -EINVAL);
	CHECK_INT(config_and_send("[settings]\nrecord_expiry=ten\n"), -EINVAL);
	CHECK_INT(config_and_send("[settings]\nsocket_path=\n"), -EINVAL);
	CHECK_INT(config_and_send("[settings]\nsocket_path=run/x\n"), -EINVAL);
	CHECK_INT(config_and_send(""), -ENOENT);
	CHECK_INT(config_and_send("[settings]\r\nsocket_path=/run/x\r\nunknown=1\r\n"), -ENOENT);
	CHECK_INT(mkdir(CONFIG, 0755), 0);
	CHECK_INT(send_one(), -EISDIR);
	rmdir(CONFIG);
	if (getuid() == 0) {
		config("");
		chmod(CONFIG, 0600);
		as_nobody(unreadable_config_file);
		config(NULL);
	}
	consent(0);
}

static void a23_connection_refused_means_two_things_and_one_can_tell(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/run/telem-0" };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	CHECK_INT(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	consent(0);
	CHECK_INT(send_one(), -ECONNREFUSED);
	CHECK_INT(tm_is_opted_in(), 0);
	consent(1);
	CHECK_INT(send_one(), -ECONNREFUSED);
	CHECK_INT(tm_is_opted_in(), 1);
	consent(0);
	close(fd);
	unlink("/run/telem-0");
}

/* ---- tm_is_opted_in ---- */

static void presence_of_the_opt_in_file_counts(void)
{
	consent(0);
	CHECK_INT(tm_is_opted_in(), 0);
	consent(1);
	CHECK_INT(tm_is_opted_in(), 1);
	consent(0);
	CHECK_INT(mkdir(OPT_IN, 0755), 0);
	CHECK_INT(tm_is_opted_in(), 1);
	rmdir(OPT_IN);
	CHECK_INT(symlink("missing", OPT_IN), 0);
	CHECK_INT(tm_is_opted_in(), 0);
	unlink(OPT_IN);
	CHECK_INT(symlink("/etc/passwd", OPT_IN), 0);
	CHECK_INT(tm_is_opted_in(), 1);
	unlink(OPT_IN);
	CHECK_INT(mkfifo(OPT_IN, 0), 0);
	CHECK_INT(tm_is_opted_in(), 1);
	unlink(OPT_IN);
}

/* ---- NULL everywhere, and freeing ---- */

static void a4_null_is_an_error_value_and_never_a_crash(void)
{
	struct telem_ref empty = { NULL };
	struct telem_ref *ref = create();
	int given;

	for (given = 0; given < 2; given++) {
		consent(given);
		CHECK_INT(tm_create_record(NULL, 1, CLASS, 1), -EINVAL);
		CHECK_INT(tm_create_record(NULL, 1, NULL, 1), -EINVAL);
		CHECK_INT(tm_set_payload(NULL, (char *)"x"), -EINVAL);
		CHECK_INT(tm_set_payload(NULL, NULL), -EINVAL);
		CHECK_INT(tm_set_payload(ref, NULL), -EINVAL);
		CHECK_INT(tm_set_payload(&empty, (char *)"x"), -EINVAL);
		CHECK_INT(tm_set_event_id(NULL, (char *)"0123456789abcdef0123456789abcdef"), -1);
		CHECK_INT(tm_set_event_id(&empty, (char *)"0123456789abcdef0123456789abcdef"), -1);
		CHECK_INT(tm_set_event_id(NULL, NULL), -1);
		CHECK_INT(tm_send_record(NULL), -EINVAL);
		CHECK_INT(tm_send_record(&empty), -EINVAL);
		CHECK_INT(tm_set_config_file(NULL), -EINVAL);
	}
	consent(0);
	tm_free_record(NULL);
	tm_free_record(ref);
}

static void a20_a_handle_without_record_is_freed(void)
{
	struct telem_ref *ref = create();
	struct telem_ref *empty = calloc(1, sizeof *empty);

	empty->record = ref->record;
	ref->record = NULL;
	tm_free_record(ref);
	tm_free_record(empty);
}

static void records_may_be_freed_in_every_state(void)
{
	struct telem_ref *ref = create();

	tm_free_record(ref);
	ref = create();
	CHECK_INT(tm_set_payload(ref, (char *)"x"), 0);
	CHECK_INT(tm_send_record(ref), -ECONNREFUSED);
	CHECK_INT(tm_send_record(ref), -ECONNREFUSED);
	tm_free_record(ref);
}

int main(void)
{
	/* A choice of configuration file holds for the process, so what sends with
	   the default file comes before config_file_paths(). */
	setvbuf(stdout, NULL, _IOLBF, 0);
	classification_limits();
	a5_an_empty_classification_is_refused();
	a6_a_first_part_of_41_bytes_is_accepted();
	a7_control_characters_are_refused_and_others_are_not();
	a3_a_failed_create_stores_null();
	severity_is_clamped();
	any_payload_version_is_printed();
	headers_are_15_lines_in_their_order();
	layout_of_a_record();
	event_ids_differ();
	strings_are_copied_and_left_unchanged();
	payload_bytes();
	payload_lengths();
	a18_a_long_payload_is_cut_and_only_what_is_kept_is_judged();
	a2_a_second_payload_replaces_the_first();
	a19_the_locale_does_not_matter();
	event_ids_of_every_wrong_form();
	a21_a_new_event_id_keeps_the_sizes_right();
	nothing_happens_without_consent();
	sockets_without_a_daemon();
	a10_a_malformed_configuration_is_an_error_and_no_more();
	a23_connection_refused_means_two_things_and_one_can_tell();
	config_file_paths();
	presence_of_the_opt_in_file_counts();
	a20_a_handle_without_record_is_freed();
	records_may_be_freed_in_every_state();
	a4_null_is_an_error_value_and_never_a_crash();
	return finish();
}
