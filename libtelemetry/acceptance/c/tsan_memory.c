/* Names that LLVM gives to calls which the run-time of ThreadSanitizer in older
   C compilers knows only as memcpy and its like. */

#include <string.h>

void *__tsan_memcpy(void *target, const void *source, size_t size)
{
	return memcpy(target, source, size);
}

void *__tsan_memmove(void *target, const void *source, size_t size)
{
	return memmove(target, source, size);
}

void *__tsan_memset(void *target, int byte, size_t size)
{
	return memset(target, byte, size);
}
