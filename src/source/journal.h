/*-------------------------------------------------------------------------
 * journal.h
 *		What native and socket streams took in, until every view has it.
 *
 * Writing (fdw/, on behalf of the inserting user), positions (ddl/, wait),
 * care of the tables (worker/).  How it is stored: see journal.c; how a
 * position is written and what it means: see native_position.c.
 *
 * Everything here belongs to the main thread and needs an open transaction.
 * No function checks the user's rights: INSERT on the stream is the caller's
 * question, the tables of the journal are reached as the extension's owner.
 *-------------------------------------------------------------------------
 */
#ifndef SX_SOURCE_JOURNAL_H
#define SX_SOURCE_JOURNAL_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "executor/tuptable.h"
#include "utils/rel.h"

/* ---- writing: native streams ------------------------------------------- */

typedef struct SxJournalWriter SxJournalWriter;

/*
 * sx_journal_begin -- start writing rows of one statement
 *
 * stream: the foreign table, open.  Makes the journal if there is none yet
 * and follows columns that were added.  The writer lives in the current
 * context, which has to last until sx_journal_end(); an abort needs no call.
 */
extern SxJournalWriter *sx_journal_begin(Relation stream);

/*
 * sx_journal_insert -- one row
 *
 * The slot has the stream's row type, defaults and generated columns filled
 * in, constraints checked.  Its values are copied; rows are buffered.
 */
extern void sx_journal_insert(SxJournalWriter *writer, TupleTableSlot *slot);

/* Write out what is buffered (at the latest before the statement ends). */
extern void sx_journal_flush(SxJournalWriter *writer);

/* Flush and free.  Has to be called at the end of the statement. */
extern void sx_journal_end(SxJournalWriter *writer);

/*
 * Set by worker/ in _PG_init: called after the commit of a transaction that
 * wrote rows, once per stream, with no transaction open: it may not fail nor
 * read a table.  NULL: nobody wants to know.  (COMMIT PREPARED does not call
 * it: the worker's own polling has to find those rows.)
 */
extern PGDLLIMPORT void (*sx_journal_notify) (Oid stream);

/* ---- positions: native streams ------------------------------------------ */

/*
 * sx_journal_snapshot_now -- position "from now on", palloc'd
 *
 * For the first progress of a view: what is committed, or committed later by
 * a transaction that runs now, comes after it if it was not visible yet; the
 * rows of the current transaction come after it as well.  Makes the journal
 * if there is none yet and the transaction may write, so that the position
 * survives dump and restore.  snapshot: what is visible now; NULL: the latest.
 */
extern char *sx_journal_snapshot_now(Oid stream, Snapshot snapshot);

/* Position before everything that is kept, palloc'd. */
extern char *sx_journal_snapshot_earliest(void);

/* Position before everything that arrived at that time or later, palloc'd. */
extern char *sx_journal_snapshot_from(TimestampTz from);

/*
 * sx_journal_count -- how many rows are kept that lie between two positions
 *
 * Fewer than were read between them: some are no longer kept.  The rest stays
 * until the transaction ends.  to: NULL for a position that has nothing
 * behind it.
 */
extern int64 sx_journal_count(Oid stream, const char *from, const char *to);

/*
 * sx_journal_covers -- is every row committed now behind this position?
 *
 * A NULL position covers an empty journal only.
 */
extern bool sx_journal_covers(Oid stream, const char *position);

/*
 * sx_journal_reached -- is every row behind "target" behind "position" too?
 *
 * For waiting: target is a sx_journal_snapshot_now() of the start.  A NULL
 * position is one that has nothing behind it.
 */
extern bool sx_journal_reached(Oid stream, const char *position,
							   const char *target);

/* Do two positions have the same rows (committed now) behind them? */
extern bool sx_journal_same(Oid stream, const char *a, const char *b);

/* ---- positions: socket streams ------------------------------------------ */

/*
 * sx_journal_next_offset -- position after all lines in the journal
 *
 * The first progress of a view that starts from now on.  Makes the journal if
 * there is none yet and the transaction may write.
 */
extern int64 sx_journal_next_offset(Oid stream);

/* Position of the first line that may still be kept. */
extern int64 sx_journal_first_offset(Oid stream);

/* ---- care --------------------------------------------------------------- */

/* Make the journal of a native or socket stream; does nothing if it is there. */
extern void sx_journal_create(Oid stream);

/*
 * sx_journal_arrive -- a journal that another cluster made enters a new era here
 *
 * Before the stream is read, in a transaction that is committed first: it is
 * a change of the stream to all who have it open.
 */
extern void sx_journal_arrive(Oid stream);

/*
 * sx_journal_sync -- follow the columns of the stream
 *
 * After ALTER FOREIGN TABLE (ddl/): drops columns that the stream has no more
 * and notes renamed ones.  Optional, except before a column is renamed and
 * its old name given to another one: what was not followed at once is at the
 * next insert.
 */
extern void sx_journal_sync(Oid stream);

/* The stream is dropped: drop its segments, forget the journal. */
extern void sx_journal_drop(Oid stream);

/*
 * sx_journal_trim -- empty what every view has, move on to an empty segment
 *
 * worker/, now and then, in a transaction of its own (it keeps locks until
 * its end); reads streamx.progress.  Never waits for a lock.  Returns true if
 * it changed anything.
 */
extern bool sx_journal_trim(Oid stream);

/* Oids of all streams with a journal, also those that no view reads */
extern List *sx_journal_list(void);

#endif							/* SX_SOURCE_JOURNAL_H */
