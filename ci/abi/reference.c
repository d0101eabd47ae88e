/*
 * The types and functions of the interface, without what they do. Frozen: see
 * README.md.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "telemetry.h"
#include <stddef.h>

struct telem_record {
	char *headers[15];
	char *payload;
	size_t header_size;
	size_t payload_size;
};

int tm_create_record(struct telem_ref **t_ref, uint32_t severity, char *classification,
		     uint32_t payload_version)
{
	return t_ref && severity && classification && payload_version;
}

int tm_set_payload(struct telem_ref *t_ref, char *payload)
{
	return t_ref->record->payload == payload;
}

int tm_set_event_id(struct telem_ref *t_ref, char *event_id)
{
	return t_ref->record->headers[14] == event_id;
}

int tm_send_record(struct telem_ref *t_ref)
{
	return (int)t_ref->record->header_size;
}

void tm_free_record(struct telem_ref *t_ref)
{
	(void)t_ref;
}

int tm_set_config_file(const char *c_file)
{
	return *c_file;
}

int tm_is_opted_in(void)
{
	return 0;
}
