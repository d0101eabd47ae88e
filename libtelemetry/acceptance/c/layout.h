#ifndef LAYOUT_H
#define LAYOUT_H

#include <stddef.h>

/* The private structure, as tools of the C project read it. */
struct telem_record {
	char *headers[15];
	char *payload;
	size_t header_size;
	size_t payload_size;
};

#endif
