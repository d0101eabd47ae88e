/*
 * telemetry.h: hand telemetry records to the telemetry daemon.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Made from libtelemetry/src/capi.rs by `make generate`. Do not edit.
 *
 * Compile with `cc program.c -ltelemetry`, or with the flags of
 * `pkg-config --cflags --libs libtelemetry`.
 *
 * No function writes to a standard stream, raises a signal or ends the
 * process. Strings are copied; they are not written to, although their type is
 * not const, which programs that store these functions in typed pointers rely
 * on. What a record holds belongs to the library and is released by
 * tm_free_record(). errno is left undefined.
 *
 * See telemetry(3).
 */

#ifndef TELEMETRY_H
#define TELEMETRY_H

#include <stdbool.h>
#include <stdint.h>

/** A record. Its content is private. */
struct telem_record;

/**
 * A handle of a record, made by tm_create_record().
 */
struct telem_ref {
  /**
   * Belongs to the library.
   */
  struct telem_record *record;
};

#ifdef __cplusplus
extern "C" {
#endif /* __cplusplus */

/**
 * Choose the configuration file for the records of this process.
 *
 * Without a call, /etc/telemetrics/telemetrics.conf counts, or the
 * distribution's default. The file tells the library where the daemon's
 * socket is, and its path goes to the daemon with every record that is sent
 * afterwards: the daemon sends those records with the settings of that file.
 *
 * The file is not opened or parsed here; tm_send_record() does that.
 *
 * @param c_file  Absolute path of an existing regular file, or of a symbolic
 *                link to one. Copied.
 *
 * @return 0 on success; the choice holds for the whole process, and the last
 *         one wins. On failure the previous choice stays, and the result is
 *         -EINVAL if c_file is NULL, is not absolute or is no regular file;
 *         or the negated errno of stat(2), such as -ENOENT, -EACCES,
 *         -ENOTDIR, -ENAMETOOLONG or -ELOOP.
 *
 * Any thread may call this at any time.
 *
 * Symbol version: TM_1_0_0.
 */
int tm_set_config_file(const char *c_file);

/**
 * Create a record.
 *
 * The record gets all headers: those given here, the time, a random event
 * id, and the facts about the host. It has no payload yet; set one with
 * tm_set_payload(). Free the record with tm_free_record().
 *
 * Consent is not looked at here, and nothing leaves the process.
 *
 * @param t_ref            Where the new record is stored. What is there
 *                         before is not looked at. NULL is stored on failure.
 * @param severity         1 (low), 2 (medium), 3 (high) or 4 (critical).
 *                         0 counts as 1, a number above 4 as 4.
 * @param classification   Three parts, separated by slashes, as in
 *                         "org.example/disk/full". At most 122 bytes in all,
 *                         41 in the first part, 40 in each of the others,
 *                         and no control characters. Copied.
 * @param payload_version  Version of the payload's format, for those who will
 *                         read it. Any number.
 *
 * @return 0 on success; -EINVAL if t_ref is NULL, or if classification is
 *         NULL or not of this form; -ENOMEM if memory is short; -1 if the
 *         system has no random numbers.
 *
 * Any thread may call this at any time.
 *
 * Symbol version: TM_3_0_0.
 */
int tm_create_record(struct telem_ref **t_ref,
                     uint32_t severity,
                     char *classification,
                     uint32_t payload_version);

/**
 * Set the payload of a record.
 *
 * A later call replaces the payload of an earlier one.
 *
 * @param t_ref    The record.
 * @param payload  Printable ASCII characters and white space (0x20 to 0x7E,
 *                 0x09 to 0x0D), whatever the locale. May be empty. What is
 *                 longer than 8192 bytes is cut after the first 8192. Copied.
 *
 * @return 0 on success. On failure the previous payload stays, and the result
 *         is -EINVAL if t_ref or payload is NULL, or if another byte is among
 *         the first 8192; -ENOMEM if memory is short.
 *
 * Different threads may use different records at the same time.
 *
 * Symbol version: TM_3_0_0.
 */
int tm_set_payload(struct telem_ref *t_ref, char *payload);

/**
 * Set the event id of a record.
 *
 * Records that belong to one event carry the same id. Each record gets a
 * random one when it is created.
 *
 * @param t_ref     The record.
 * @param event_id  Exactly 32 characters of 0123456789abcdef. Copied.
 *
 * @return 0 on success. -1 if t_ref or event_id is NULL or event_id is not of
 *         this form; the previous id stays.
 *
 * Different threads may use different records at the same time.
 *
 * Symbol version: TM_4_0_0.
 */
int tm_set_event_id(struct telem_ref *t_ref, char *event_id);

/**
 * Hand a record to the telemetry daemon.
 *
 * Waits until the daemon has the record on disk: at most 1 second for a
 * connection, and 5 seconds for the answer. The record stays as it is: it may
 * be sent again, and must be freed. Never raises SIGPIPE.
 *
 * @param t_ref  The record. Without a payload, an empty one is sent.
 *
 * @return 0 on success. Otherwise a negated errno:
 *         -ECONNREFUSED  the administrator has not opted in, or no daemon
 *                        listens (tm_is_opted_in() tells which),
 *         -EINVAL        t_ref is NULL, the configuration file cannot be
 *                        understood, or the daemon refused the record,
 *         -ENOENT        there is no socket: no daemon is installed or
 *                        started; or the chosen configuration file is gone,
 *         -EACCES        the socket or the configuration file is not for this
 *                        user,
 *         -EPERM         the daemon must not use the configuration file that
 *                        tm_set_config_file() named,
 *         -EFBIG         the configuration file has more than 1 MiB,
 *         -EMFILE        the process has no descriptor to spare,
 *         -ENOMEM        memory is short,
 *         -EAGAIN        the daemon does not read,
 *         -EPIPE         the daemon went away before it had the record,
 *         -ECONNRESET    the daemon went away before it answered,
 *         -ETIMEDOUT     no connection or no answer in time,
 *         -EPROTO        who listens is not a telemetry daemon,
 *         -ENOSPC, -EDQUOT, -EIO or another errno of the daemon, if it could
 *         not store the record; or one of socket(2), connect(2) or open(2).
 *         After -ECONNRESET and -ETIMEDOUT the daemon may have the record all
 *         the same; after every other failure it has not.
 *
 * Different threads may use different records at the same time.
 *
 * Symbol version: TM_3_0_0.
 */
int tm_send_record(struct telem_ref *t_ref);

/**
 * Free a record, its headers and its payload.
 *
 * @param t_ref  The record. NULL does nothing. It must not be used
 *               afterwards.
 *
 * Different threads may use different records at the same time.
 *
 * Symbol version: TM_2_0_0.
 */
void tm_free_record(struct telem_ref *t_ref);

/**
 * Tell whether the administrator has opted in to telemetry.
 *
 * That is so if the file /etc/telemetrics/opt-in exists.
 *
 * @return 1 if so, otherwise 0.
 *
 * Any thread may call this at any time.
 *
 * Symbol version: TM_4_1_0.
 */
int tm_is_opted_in(void);

#ifdef __cplusplus
}  /* extern "C" */
#endif  /* __cplusplus */

#endif  /* TELEMETRY_H */
