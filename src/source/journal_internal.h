/*-------------------------------------------------------------------------
 * journal_internal.h
 *		What the journal's files share: its catalog row, its tables' shape.
 *-------------------------------------------------------------------------
 */
#ifndef SX_SOURCE_JOURNAL_INTERNAL_H
#define SX_SOURCE_JOURNAL_INTERNAL_H

#include "postgres.h"

#include "access/attnum.h"
#include "datatype/timestamp.h"
#include "storage/itemptr.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

#define SX_JOURNAL_MAX_SEGMENTS	16

/* Columns of a native journal's segment; the stream's own follow them. */
#define SX_SEGMENT_ERA		1
#define SX_SEGMENT_XID		2
#define SX_SEGMENT_SEQ		3
#define SX_SEGMENT_ROWS		4
#define SX_SEGMENT_ARRIVED	5
#define SX_SEGMENT_FIXED	5

/* Columns of a socket journal's segment. */
#define SX_LINES_POSITION	1
#define SX_LINES_ROWS		2
#define SX_LINES_ARRIVED	3
#define SX_LINES_LINES		4
#define SX_LINES_NATTS		4

/* A row of streamx.journals. */
typedef struct SxJournal
{
	Oid			stream;
	int			id;
	int			nsegments;
	Oid			segments[SX_JOURNAL_MAX_SEGMENTS];
	TimestampTz closed[SX_JOURNAL_MAX_SEGMENTS];
	int			current;		/* from 0 */
	int			era;
	int64		system;
	int			ncolumns;		/* 0 for a socket's */
	char	  **columns;		/* NULL: dropped */
	int		   *slots;
	int64		next_position;
	ItemPointerData tid;
} SxJournal;

/* The row as the snapshot sees it, palloc'd; NULL: no journal. */
extern SxJournal *sx_journal_read(Oid stream, Snapshot snapshot);

/* The same as of now. */
extern SxJournal *sx_journal_read_latest(Oid stream);

/*
 * Make the journal if there is none, follow new columns, enter a new era if
 * the cluster is another one; returns what then holds.
 */
extern SxJournal *sx_journal_prepare(Relation stream);

/* Lock against changes of the journal until the transaction ends. */
extern void sx_journal_lock(Oid stream);
extern bool sx_journal_try_lock(Oid stream);

extern bool sx_journal_is_socket(Oid stream);

/* The row, changed. */
extern void sx_journal_save(SxJournal *journal);

/* One more segment; the row is not saved. */
extern void sx_journal_make_segment(SxJournal *journal, Relation stream, bool socket);

/* A statement about the journal's tables, as the extension's owner. */
extern void sx_journal_run(const char *sql);

/* Era of what is written now: one more than noted if the cluster is new. */
extern int	sx_journal_era_now(const SxJournal *journal);

/*
 * Columns of a segment that hold a slot's values, newest type first; their
 * number.  More than one after ALTER COLUMN TYPE.
 */
extern int	sx_journal_slot_columns(TupleDesc segment, int slot,
									AttrNumber *attnos, int max);

/* Is this a segment column for a stream column of that type? */
extern bool sx_journal_type_fits(Oid arraytype, Oid typid);

/* Open a segment and its index; false: it is gone or still being restored. */
extern bool sx_journal_open_segment(Oid segment, LOCKMODE lockmode,
									Relation *rel, Relation *index);

/* Is there a row in this segment that a position has not behind it? */
extern bool sx_native_unseen(const SxJournal *journal, Oid segment,
							 const char *position, Snapshot snapshot);

#endif							/* SX_SOURCE_JOURNAL_INTERNAL_H */
