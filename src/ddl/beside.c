/*-------------------------------------------------------------------------
 * beside.c
 *		A view computed anew beside itself, while it goes on.
 *
 * In the caller's transaction a hidden view is made: a table in the schema
 * of the result and parts in streamx_state, which nobody else sees.  It reads
 * from where the view began to where the view stands, and on to where that
 * has come meanwhile, until little is left.  Then the view is locked (its
 * worker waits, readers do not), the hidden one reads the rest, the rows of
 * the result that differ are exchanged, and its parts become the view's.  So
 * there is nothing to clean up after an error or a crash, a cancel costs what
 * has been computed only, and readers and subscribers see one transaction.
 *
 * No row is late: the view equals its query over all rows.  What failed before
 * gets another chance; what fails now is a dead letter.  Nothing is sent to
 * the view's sink.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "base/stop.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "commands/event_trigger.h"
#include "commands/tablecmds.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"

#include "base/trusted.h"
#include "catalog/stream.h"
#include "checkpoint/checkpoint.h"
#include "ddl/ddl.h"
#include "ddl/rebuild.h"
#include "exec/owner.h"
#include "result/emit.h"
#include "result/result.h"
#include "stats/stats.h"
#include "worker/worker.h"

/* Rows that may be left when the view is locked; or after so many rounds. */
#define FEW_ROWS	20000
#define MAX_ROUNDS	20

bool
sx_beside_possible(const SxView *view)
{
	Relation	rel = table_open(view->relid, AccessShareLock);
	const TupleConstr *constr = RelationGetDescr(rel)->constr;
	bool		possible;
	ListCell   *lc;

	possible = view->sources == NIL && view->period_us == 0 && rel->trigdesc == NULL && rel->rd_rules == NULL &&
		(constr == NULL || constr->num_check == 0) &&
		!rel->rd_rel->relforcerowsecurity &&
		rel->rd_createSubid == InvalidSubTransactionId;
	foreach(lc, possible ? RelationGetIndexList(rel) : NIL)
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		if ((index->rd_index->indisunique || index->rd_index->indisexclusion) &&
			!sx_ddl_is_key_index(lfirst_oid(lc)))
			possible = false;
		index_close(index, NoLock);
	}
	table_close(rel, NoLock);
	return possible;
}

/* ---- the hidden view ---- */

/* ColumnDefs of a table. */
static List *
columns_of_table(Oid relid)
{
	Relation	rel = table_open(relid, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	List	   *columns = NIL;
	int			i;

	for (i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute a = TupleDescAttr(desc, i);
		ColumnDef  *column = makeColumnDef(NameStr(a->attname), a->atttypid,
										   a->atttypmod, a->attcollation);

		column->is_not_null = a->attnotnull;
		columns = lappend(columns, column);
	}
	table_close(rel, NoLock);
	return columns;
}

/* Does what the view writes still fit its sink?  Else it would be told late. */
static void
check_sink(const SxView *next, Oid table)
{
	Relation	rel;
	Relation	sink;

	if (!OidIsValid(next->sink))
		return;
	rel = table_open(table, AccessShareLock);
	sink = table_open(next->sink, AccessShareLock);
	(void) sx_sink_map(next, rel, sink, sx_stream_get(next->sink, next->owner));
	table_close(sink, NoLock);
	table_close(rel, NoLock);
}

/* Its rows and parts are empty. */
static SxView *
make_hidden(SxRedefinition *r, const SxShape *shape)
{
	SxView	   *hidden = palloc(sizeof(SxView));
	CreateStmt *create = makeNode(CreateStmt);
	Oid			schema = get_rel_namespace(r->view->relid);
	SxTrustedScope trusted;

	*hidden = *r->next;
	hidden->id = sx_view_next_id();
	sx_trusted_enter(BOOTSTRAP_SUPERUSERID, &trusted);
	EventTriggerInhibitCommandCollection();
	create->relation = makeRangeVar(get_namespace_name(schema),
									ChooseRelationName("streamx_rebuild", NULL,
													   psprintf("%d", hidden->id),
													   schema, false), -1);

	/* a crash takes it away with the transaction; and nobody publishes it */
	create->relation->relpersistence = RELPERSISTENCE_UNLOGGED;
	create->tableElts = r->columns ? copyObject(r->columns) :
		columns_of_table(r->view->relid);
	create->oncommit = ONCOMMIT_NOOP;
	sx_ddl_run_statement((Node *) create);
	hidden->relid = get_relname_relid(create->relation->relname, schema);
	sx_ddl_create_indexes(hidden->relid, shape, false);
	ATExecChangeOwner(hidden->relid, hidden->owner, true, AccessExclusiveLock);
	CommandCounterIncrement();
	sx_ddl_create_parts(hidden, r->query, shape);
	EventTriggerUndoInhibitCommandCollection();
	sx_trusted_leave(&trusted);
	check_sink(r->next, hidden->relid);

	hidden->sink = hidden->outbox = InvalidOid;
	hidden->paused = false;
	hidden->sqlstate = hidden->error = NULL;
	sx_view_insert(hidden);
	CommandCounterIncrement();
	return hidden;
}

/* Is the index by which its rows are found one for keys of any length? */
static bool
has_wide_key(const SxView *hidden)
{
	Relation	rel = table_open(hidden->relid, AccessShareLock);
	bool		wide = false;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		wide |= RelationGetIndexExpressions(index) != NIL;
		index_close(index, NoLock);
	}
	table_close(rel, NoLock);
	return wide;
}

/* ---- the exchange ---- */

/*
 * The rows of the result become those of the other table; those that are the
 * same stay.  Compared as text: as a dump has them, whatever their types.
 */
static void
exchange_rows(const SxView *view, Oid from)
{
	const char *numbered = "(SELECT x.ctid AS c, (x.*)::pg_catalog.text COLLATE pg_catalog.\"C\" AS r,"
	" pg_catalog.row_number() OVER (PARTITION BY (x.*)::pg_catalog.text COLLATE pg_catalog.\"C\") AS n FROM %s x)";
	char	   *table = sx_rebuild_table_name(view->relid);
	char	   *other = sx_rebuild_table_name(from);
	char	   *old = psprintf(numbered, table);
	char	   *new = psprintf(numbered, other);
	SxOwnerScope scope;

	sx_owner_enter(view, &scope);
	(void) set_config_option("extra_float_digits", "1", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	(void) sx_rebuild_execute(psprintf("DELETE FROM %s t USING %s o WHERE t.ctid OPERATOR(pg_catalog.=) o.c"
									   " AND NOT EXISTS (SELECT FROM %s m WHERE m.r OPERATOR(pg_catalog.=) o.r AND m.n OPERATOR(pg_catalog.=) o.n)",
									   table, old, new), InvalidOid);
	(void) sx_rebuild_execute(psprintf("INSERT INTO %s SELECT t.* FROM %s t JOIN %s m ON t.ctid OPERATOR(pg_catalog.=) m.c"
									   " WHERE NOT EXISTS (SELECT FROM %s o WHERE m.r OPERATOR(pg_catalog.=) o.r AND m.n OPERATOR(pg_catalog.=) o.n)",
									   table, other, new, old), InvalidOid);
	sx_owner_leave(&scope);
}

/* What belongs to the hidden view belongs to the view. */
static void
move_parts(SxRedefinition *r, const SxView *hidden)
{
	SxTrustedScope trusted;
	SxView	   *next = r->next;
	List	   *moved = list_concat_copy(hidden->parts, hidden->value_sets);
	ListCell   *lc;

	if (r->query)
		moved = lappend_oid(moved, hidden->query);
	moved = lappend_oid(moved, hidden->state);
	foreach(lc, moved)
	{
		if (OidIsValid(lfirst_oid(lc)))
			(void) changeDependencyFor(RelationRelationId, lfirst_oid(lc),
									   RelationRelationId, hidden->relid, next->relid);
	}
	next->id = hidden->id;
	next->query = hidden->query;
	next->state = hidden->state;
	next->parts = hidden->parts;
	next->value_sets = hidden->value_sets;

	sx_trusted_enter(BOOTSTRAP_SUPERUSERID, &trusted);
	(void) sx_rebuild_execute(psprintf("UPDATE streamx.dead_letters SET view = %u WHERE view = $1",
									   next->relid), hidden->relid);
	sx_trusted_leave(&trusted);
	sx_view_delete(hidden->relid);
}

static void
drop_hidden(Oid relid)
{
	ObjectAddress address;

	ObjectAddressSet(address, RelationRelationId, relid);
	performDeletion(&address, DROP_RESTRICT, PERFORM_DELETION_INTERNAL | PERFORM_DELETION_QUIETLY);
}

/* ---- all of it ---- */

static bool
same_streams(const List *a, const List *b)
{
	return list_difference_oid(a, b) == NIL && list_difference_oid(b, a) == NIL;
}

/* As of now, and what this transaction has done. */
static void
new_snapshot(void)
{
	CommandCounterIncrement();
	PopActiveSnapshot();
	PushActiveSnapshot(GetLatestSnapshot());
}

static void
context_callback(void *arg)
{
	errcontext("rebuilding continuous view %s", ((const SxView *) arg)->name);
}

static pg_noinline void
beside(SxRedefinition *r)
{
	SxView	   *view = r->view;
	SxViewRun	run = {0};
	SxViewCounters before;
	SxReading  *reading;
	SxView	   *hidden;
	SxView	   *now;
	SxShape    *shape;
	SxOwnerScope scope;
	bool		shed = false;
	bool		exclusive;
	int64		dead_letters;
	int			rounds = 0;
	ListCell   *lc;

	/* streams before the result, and that before its parts, as DROP does */
	foreach(lc, list_concat_unique_oid(list_copy(view->streams), r->next->streams))
		LockRelationOid(lfirst_oid(lc), AccessShareLock);
	LockRelationOid(view->relid, AccessShareLock);
	PushActiveSnapshot(GetLatestSnapshot());

	sx_owner_enter(r->next, &scope);
	shape = sx_plan_analyze(r->query ? r->query : sx_plan_stored_query(view->query), view->name);
	sx_owner_leave(&scope);
	hidden = make_hidden(r, shape);
	new_snapshot();

	run.relid = hidden->relid;
	run.view = sx_view_get(hidden->relid);
	run.view->name = view->name;
	run.cxt = CurrentMemoryContext;
	sx_result_begin(run.view, &run.counters);
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
	sx_owner_enter(run.view, &scope);
	sx_view_prepare(&run);
	sx_owner_leave(&scope);
	run.watermark_us = run.next_watermark_us = PG_INT64_MIN;

	reading = sx_reading_begin(&run, view->relid,
							   sx_replace_shared_streams(r), r->start);
	if (r->query)
		reading->verb = "backfill";
	do
	{
		new_snapshot();
		sx_reading_go(reading);
		SX_STOP("rebuild_round", view->name);
		new_snapshot();
	} while (sx_reading_left(reading) > FEW_ROWS && ++rounds < MAX_ROUNDS);

	/* from here on it stands still */
	exclusive = sx_replace_adds_columns(view, r->columns) || sx_replace_changes_key(view, shape);
	LockRelationOid(view->relid, exclusive ? AccessExclusiveLock : ShareRowExclusiveLock);
	now = sx_view_get(view->relid);
	if (now == NULL || now->id != view->id || now->owner != view->owner)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("continuous view %s was changed while it was computed anew", view->name),
				 errhint("Try again.")));
	if (r->next->sqlstate)
	{
		r->next->sqlstate = now->sqlstate;
		r->next->error = now->error;
	}
	r->next->paused = now->paused;
	new_snapshot();
	sx_reading_go(reading);
	sx_view_counters(view->relid, &before);
	if (!same_streams(view->streams, r->next->streams))
		before.watermark_us = PG_INT64_MIN;
	dead_letters = sx_rebuild_forget(view->relid, &shed);
	sx_batch_rebuilt(&run, sx_stream_get(linitial_oid(r->next->streams), view->owner),
					 before.watermark_us, shed);
	new_snapshot();
	sx_reading_end(reading);
	SX_STOP("rebuild_exchange", view->name);

	if (r->columns)
		sx_replace_add_columns(view, r->columns);
	if (sx_replace_changes_key(view, shape))
		sx_replace_drop_key(view, shape);
	new_snapshot();
	exchange_rows(view, hidden->relid);
	sx_replace_create_key(view, shape, has_wide_key(hidden));

	/* late rows and dead letters are those that there are now */
	run.counters.rows_late -= before.rows_late;
	run.counters.dead_letters -= dead_letters;
	run.counters.watermark_us = before.watermark_us;
	sx_view_count(view->relid, &run.counters);
	move_parts(r, hidden);
	sx_replace_take_over(r);
	drop_hidden(hidden->relid);
	PopActiveSnapshot();
	SX_STOP("rebuild", view->name);
}

void
sx_beside_rebuild(SxRedefinition *r)
{
	ErrorContextCallback context;

	context.callback = context_callback;
	context.arg = r->view;
	context.previous = error_context_stack;
	error_context_stack = &context;
	PG_TRY();
	{
		beside(r);
	}
	PG_CATCH();
	{
		sx_report_rebuild(r->view->relid, 0, 0, 0);
		PG_RE_THROW();
	}
	PG_END_TRY();
	error_context_stack = context.previous;
	sx_worker_wake();
}
