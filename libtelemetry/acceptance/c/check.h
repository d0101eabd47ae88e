/* Checks that count. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layout.h"

static int checks_failed;
static int checks_passed;

#define CHECK(condition)                                                           \
	do {                                                                       \
		if (condition) {                                                   \
			checks_passed++;                                           \
		} else {                                                           \
			checks_failed++;                                           \
			printf("%s:%d: %s: %s\n", __FILE__, __LINE__, __func__,    \
			       #condition);                                        \
		}                                                                  \
	} while (0)

#define CHECK_INT(expression, expected)                                            \
	do {                                                                       \
		long long actual_ = (expression);                                  \
		long long expected_ = (expected);                                  \
		if (actual_ == expected_) {                                        \
			checks_passed++;                                           \
		} else {                                                           \
			checks_failed++;                                           \
			printf("%s:%d: %s: %s is %lld, not %lld\n", __FILE__,      \
			       __LINE__, __func__, #expression, actual_,           \
			       expected_);                                         \
		}                                                                  \
	} while (0)

#define CHECK_TEXT(expression, expected)                                           \
	do {                                                                       \
		const char *actual_ = (expression);                                \
		const char *expected_ = (expected);                                \
		if (actual_ && strcmp(actual_, expected_) == 0) {                  \
			checks_passed++;                                           \
		} else {                                                           \
			checks_failed++;                                           \
			printf("%s:%d: %s: %s is \"%s\", not \"%s\"\n", __FILE__,  \
			       __LINE__, __func__, #expression,                    \
			       actual_ ? actual_ : "(null)", expected_);           \
		}                                                                  \
	} while (0)

static int finish(void)
{
	printf("%d checks passed, %d failed\n", checks_passed, checks_failed);
	return checks_failed || !checks_passed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
