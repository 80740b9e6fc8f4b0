/*-------------------------------------------------------------------------
 * writer.h
 *		Writes rows of one table through the executor's own routines, so that
 *		indexes, constraints, triggers and publications hold.
 *-------------------------------------------------------------------------
 */
#ifndef SX_RESULT_WRITER_H
#define SX_RESULT_WRITER_H

#include "postgres.h"

#include "access/heapam.h"
#include "executor/executor.h"
#include "utils/rel.h"

/*
 * Told of each row that writers of a table take away or bring, from
 * sx_writer_watch() on until the context is gone.  An update that leaves a row
 * as it was is then not written at all, if all who watch say so.  row NULL:
 * some rows were changed by a statement.
 */
typedef struct SxWatch
{
	Oid			relid;
	bool		skip_same;
	void		(*changed) (struct SxWatch *watch, TupleTableSlot *row);
} SxWatch;

/* The watch lives in cxt. */
extern void sx_writer_watch(SxWatch *watch, MemoryContext cxt);

/* A statement has changed rows of the table. */
extern void sx_writer_changed(Oid relid);

struct TransitionCaptureState;

/*
 * Open for a part of a transaction; everything lives in its EState.  For
 * triggers of the statement, what it inserts is one statement, what it updates
 * another one, and what it deletes.
 */
typedef struct SxWriter
{
	Relation	rel;
	EState	   *estate;
	ResultRelInfo *rri;
	EPQState	epqstate;
	TupleTableSlot *slot;		/* virtual: the row to write; fill and
								 * ExecStoreVirtualTuple */
	TupleTableSlot *old;		/* as the table's own slots: a row found */
	struct SxEmit *emit;		/* hears of what is written, or NULL: see
								 * sx_result_writer */
	List	   *watches;		/* SxWatch that want to know what changes */
	bool		one_by_one;		/* each row has to be looked at as it goes in */
	int			nadded;			/* rows that wait to go in together */
	Size		added_bytes;
	TupleTableSlot **added;		/* made as needed, kept */
	ItemPointer *places;		/* where to say where they are, or NULLs */
	bool		statements;		/* the table has triggers of the statement */
	bool		begun[3];		/* INSERT, UPDATE, DELETE: those before it
								 * have run */
	struct TransitionCaptureState *captures[3]; /* their transition tables, or
												 * NULL */
	struct SxLeaves *leaves;	/* of a partitioned table, see leaf.h: rel and
								 * rri are NULL, rows go to partitions */
	bool		leaf;			/* of a partition: another writer's */
	BulkInsertState bulk;		/* NULL: the table's pages are used again soon */
} SxWriter;

/* Opens and locks (RowExclusiveLock, kept until the transaction's end). */
extern SxWriter *sx_writer_begin(Oid relid);
extern void sx_writer_end(SxWriter *writer);

/*
 * Write writer->slot.  *tid is the new place, invalid if a trigger said no.
 * Update and delete act on the row at *tid.  Other sessions' changes of the
 * same row raise an error (the batch is done again).  Of a partitioned table:
 * delete by the partition's writer.
 */
extern void sx_writer_insert(SxWriter *writer, ItemPointer tid);
extern void sx_writer_update(SxWriter *writer, ItemPointer tid);
extern void sx_writer_delete(SxWriter *writer, ItemPointer tid);

/*
 * Insert as well, but many rows at a time: *tid, which may be NULL, is set by
 * sx_writer_flush() or sx_writer_end().
 */
extern void sx_writer_add(SxWriter *writer, ItemPointer tid);
extern void sx_writer_flush(SxWriter *writer);

/* Those who watch hear of a row that was written by other means. */
extern void sx_writer_tell(SxWriter *writer, TupleTableSlot *row);

#endif							/* SX_RESULT_WRITER_H */
