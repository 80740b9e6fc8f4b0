/*-------------------------------------------------------------------------
 * modify.c
 *		INSERT and COPY into streams: native ones take rows into their
 *		journal, Kafka ones produce to their topic.
 *
 * Streams are append-only: no UPDATE, no DELETE, and no insert into what
 * only an outside source fills.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/executor.h"
#include "foreign/fdwapi.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/rel.h"

#include "catalog/option.h"
#include "catalog/stream.h"
#include "compat.h"
#include "fdw/kafka_insert.h"
#include "fdw/scan.h"
#include "source/journal.h"

/* One of both, as the stream's kind says. */
typedef struct StreamModify
{
	SxJournalWriter *journal;
	SxKafkaInsert *kafka;
} StreamModify;

static int
is_updatable(Relation rel)
{
	ForeignTable *table = GetForeignTable(RelationGetRelid(rel));
	int			kind = sx_server_kind(GetForeignServer(table->serverid));

	if (kind == SX_KIND_NATIVE || kind == SX_KIND_KAFKA)
		return 1 << CMD_INSERT;
	return 0;
}

static void
begin(ResultRelInfo *rinfo, EState *estate)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(estate->es_query_cxt);
	StreamModify *state = palloc0(sizeof(StreamModify));
	Relation	rel = rinfo->ri_RelationDesc;
	Oid			user = sx_result_rel_user(rinfo, estate);
	SxStream   *stream;

	/* also tells what is wrong with the stream before a row is lost in it */
	stream = sx_stream_get(RelationGetRelid(rel),
						   OidIsValid(user) ? user : GetUserId());
	if (strcmp(stream->kind, "native") == 0)
		state->journal = sx_journal_begin(rel);
	else if (strcmp(stream->kind, "kafka") == 0)
		state->kafka = sx_fdw_kafka_insert_begin(stream);
	else
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot insert into %s stream %s",
						stream->kind, stream->name),
				 errhint("Only native and Kafka streams take rows.")));
	rinfo->ri_FdwState = state;
	MemoryContextSwitchTo(oldcxt);
}

static void
end(ResultRelInfo *rinfo)
{
	StreamModify *state = (StreamModify *) rinfo->ri_FdwState;

	if (state == NULL)
		return;
	if (state->journal != NULL)
		sx_journal_end(state->journal);
	if (state->kafka != NULL)
		sx_fdw_kafka_insert_end(state->kafka);
	rinfo->ri_FdwState = NULL;
}

static void
begin_modify(ModifyTableState *mtstate, ResultRelInfo *rinfo,
			 List *fdw_private, int subplan_index, int eflags)
{
	if ((eflags & EXEC_FLAG_EXPLAIN_ONLY) == 0)
		begin(rinfo, mtstate->ps.state);
}

static void
end_modify(EState *estate, ResultRelInfo *rinfo)
{
	end(rinfo);
}

static void
begin_insert(ModifyTableState *mtstate, ResultRelInfo *rinfo)
{
	begin(rinfo, mtstate->ps.state);
}

static void
end_insert(EState *estate, ResultRelInfo *rinfo)
{
	end(rinfo);
}

/*
 * PostgreSQL leaves the constraints of a foreign table to its server.  The
 * rows' home is here, or they come from here: so they are checked.
 */
static void
check_constraints(EState *estate, ResultRelInfo *rinfo, TupleTableSlot *slot)
{
	Relation	rel = rinfo->ri_RelationDesc;

	if (RelationGetDescr(rel)->constr != NULL)
		ExecConstraints(rinfo, slot, estate);
	if (rel->rd_rel->relispartition && rinfo->ri_RootResultRelInfo == NULL)
		ExecPartitionCheck(rinfo, slot, estate, true);
}

static TupleTableSlot *
exec_insert(EState *estate, ResultRelInfo *rinfo, TupleTableSlot *slot,
			TupleTableSlot *plan_slot)
{
	StreamModify *state = (StreamModify *) rinfo->ri_FdwState;

	check_constraints(estate, rinfo, slot);
	if (state->journal != NULL)
		sx_journal_insert(state->journal, slot);
	else
		sx_fdw_kafka_insert_row(state->kafka, slot);
	return slot;
}

void
sx_fdw_modify_routine(FdwRoutine *routine)
{
	routine->IsForeignRelUpdatable = is_updatable;
	routine->BeginForeignModify = begin_modify;
	routine->ExecForeignInsert = exec_insert;
	routine->EndForeignModify = end_modify;
	routine->BeginForeignInsert = begin_insert;
	routine->EndForeignInsert = end_insert;
}
