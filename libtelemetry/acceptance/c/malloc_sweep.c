/*
 * Fails the n-th allocation of the library, for every n, until none is left to
 * fail. Each n has a process of its own, because facts about the host are read
 * once a process.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/wait.h>
#include <telemetry.h>
#include <unistd.h>

#include "check.h"

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void __libc_free(void *);

/* Only what the library allocates is counted and failed. */
static bool in_library;
static int until_failure;
static bool has_failed;
static int live_blocks;

static bool fails(void)
{
	if (in_library && --until_failure == 0) {
		has_failed = true;
		errno = ENOMEM;
		return true;
	}
	return false;
}

static void *counted(void *block)
{
	live_blocks += in_library && block;
	return block;
}

void *malloc(size_t size)
{
	return fails() ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
	return fails() ? NULL : counted(__libc_calloc(count, size));
}

void *realloc(void *block, size_t size)
{
	if (!block) {
		return malloc(size);
	}
	return fails() ? NULL : __libc_realloc(block, size);
}

void free(void *block)
{
	live_blocks -= in_library && block;
	__libc_free(block);
}

#define IN_LIBRARY(call)                                                           \
	__extension__({                                                            \
		in_library = true;                                                 \
		int result_ = (call);                                              \
		in_library = false;                                                \
		result_;                                                           \
	})

static void check_result(int result)
{
	CHECK(result == 0 || (has_failed && result == -ENOMEM));
}

static void free_record(struct telem_ref *ref)
{
	in_library = true;
	tm_free_record(ref);
	in_library = false;
}

static void a_record_from_beginning_to_end(void)
{
	struct telem_ref *ref = (struct telem_ref *)8;
	int result;

	check_result(IN_LIBRARY(tm_set_config_file("/etc/chosen.conf")));
	result = IN_LIBRARY(tm_create_record(&ref, 1, (char *)"a/b/c", 1));
	check_result(result);
	if (result != 0) {
		CHECK(ref == NULL);
		free_record(ref);
		return;
	}
	check_result(IN_LIBRARY(tm_set_payload(ref, (char *)"first")));
	result = IN_LIBRARY(tm_set_payload(ref, (char *)"second"));
	check_result(result);
	if (result == 0) {
		CHECK_TEXT(ref->record->payload, "second");
		CHECK_INT(ref->record->payload_size, 6);
	} else {
		CHECK_TEXT(ref->record->payload, "first");
		CHECK_INT(ref->record->payload_size, 5);
	}
	check_result(IN_LIBRARY(tm_set_event_id(ref, (char *)"0123456789abcdef0123456789abcdef")));
	CHECK_TEXT(ref->record->headers[14], "event_id: 0123456789abcdef0123456789abcdef\n");
	check_result(IN_LIBRARY(tm_send_record(ref)));
	free_record(ref);
}

int main(void)
{
	int n, status;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (n = 1;; n++) {
		pid_t child = fork();

		if (child == 0) {
			checks_failed = 0;
			until_failure = n;
			a_record_from_beginning_to_end();
			CHECK_INT(live_blocks, 0);
			_exit(checks_failed ? 1 : has_failed ? 2 : 0);
		}
		waitpid(child, &status, 0);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) != 1);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 2) {
			break;
		}
	}
	printf("%d allocations were failed, one at a time\n", n - 1);
	CHECK(n > 5);
	return finish();
}
