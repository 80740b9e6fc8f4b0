/*-------------------------------------------------------------------------
 * reader.h
 *		Reads one source and decodes it, ahead of the worker's main thread.
 *
 * Threaded sources are polled and decoded in a thread of the reader's; what
 * is ready waits in a bounded queue.  The others are read when the main
 * thread asks, inside its transaction.
 *-------------------------------------------------------------------------
 */
#ifndef SX_WORKER_READER_H
#define SX_WORKER_READER_H

#include "postgres.h"

#include "catalog/stream.h"
#include "source/source.h"
#include "worker/fold.h"

typedef struct SxReader SxReader;

/*
 * Opens the source.  ready_fd: an eventfd that is signalled when batches are
 * there.  stream has to stay as long as the reader.  In the current context,
 * but threads and handles are only freed by sx_reader_close().
 */
extern SxReader *sx_reader_open(const SxStream *stream, int ready_fd);

/*
 * Of a threaded source, before the first seek: this flag is raised when there
 * are batches or the status has changed.  Atomic; it stays as long as the
 * reader.
 */
extern void sx_reader_announce(SxReader *reader, bool *news);

/*
 * Read no more until the next seek; what was read ahead is thrown away, but for
 * partitions that it tells to be gone: they are appended to *gone (ints).
 */
extern void sx_reader_stop(SxReader *reader, List **gone);

/*
 * (Re)start at these positions; what was read ahead is thrown away.  start:
 * the view's own option, or NULL.
 */
extern void sx_reader_seek(SxReader *reader, const SxPosition *positions,
						   int npositions, const char *start);

/* Before a seek: read a share of the partitions only, see source.h. */
extern void sx_reader_share(SxReader *reader, int index, int count);

/*
 * From the next seek on fold processes read it (fold.h), for these views, and
 * the batches taken are what they have folded; NIL: this process does.
 */
extern void sx_reader_fold(SxReader *reader, List *views);

/* NULL: it is read in this process; refused: as there are no others. */
extern SxFold *sx_reader_folding(const SxReader *reader);
extern bool sx_reader_fold_refused(const SxReader *reader);

/* Would the source like one, to the positions where it stands? */
extern bool sx_reader_wants_seek(const SxReader *reader);

/* Of a native stream, after a seek: no further than this; NULL: no bound. */
extern void sx_reader_bound(SxReader *reader, const char *snapshot);

/* Take in what arrived; in a transaction of its own.  True: something did. */
extern bool sx_reader_intake(SxReader *reader);
extern bool sx_reader_has_intake(const SxReader *reader);

/*
 * Rows, rejects or moves of position that wait in the queue, and since when
 * by the monotonic clock (0: nothing waits).  For sources that are not threaded: 0.
 */
extern int64 sx_reader_waiting_rows(SxReader *reader, int64 *since_ms, bool *full);

/*
 * sx_reader_take -- batches of at most about max_rows and max_bytes, in order
 *
 * *list: linked by "next", NULL: none; the caller's until given back, after
 * an error too.  Sources that are not threaded need a transaction with a
 * snapshot.
 */
extern void sx_reader_take(SxReader *reader, int64 max_rows, int64 max_bytes,
						   SxBatch **list);
extern void sx_reader_give_back(SxReader *reader, SxBatch *list);

/* Did the last take of a source that is not threaded come to its end? */
extern bool sx_reader_exhausted(const SxReader *reader);

extern bool sx_reader_threaded(const SxReader *reader);

/* Source gone past what a retry cures, or memory: text, or NULL. */
extern const char *sx_reader_failure(SxReader *reader);

extern void sx_reader_status(SxReader *reader, SxSourceStatus *status);
extern int	sx_reader_wait_fd(SxReader *reader);
extern int	sx_reader_poll_interval_ms(SxReader *reader);

/* Joins the thread, closes the source, frees everything. */
extern void sx_reader_close(SxReader *reader);

#endif							/* SX_WORKER_READER_H */
