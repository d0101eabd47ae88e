/*
 * The interface that programs were compiled with. Frozen: see README.md.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct telem_record;

struct telem_ref {
	struct telem_record *record;
};

int tm_create_record(struct telem_ref **t_ref, uint32_t severity, char *classification,
		     uint32_t payload_version);
int tm_set_payload(struct telem_ref *t_ref, char *payload);
int tm_set_event_id(struct telem_ref *t_ref, char *event_id);
int tm_send_record(struct telem_ref *t_ref);
void tm_free_record(struct telem_ref *t_ref);
int tm_set_config_file(const char *c_file);
int tm_is_opted_in(void);
