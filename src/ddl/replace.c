/*-------------------------------------------------------------------------
 * replace.c
 *		A continuous view becomes another one: CREATE OR REPLACE, ALTER of
 *		options that what is kept was made by.
 *
 * The result table stays what it is (its OID, rights, indexes, triggers, and
 * what depends on it) and can get further columns, as CREATE OR REPLACE VIEW
 * has it.  Option on_replace says what becomes of the rows:
 *
 *		backfill	computed anew from where the view began, or from the
 *					statement's option start, to where it stands; beside the
 *					view while that goes on where it can be (beside.c), else in
 *					place
 *		restart		none, and on from where the view stands
 *		keep		they stay, with the states behind them, and on from there;
 *					where these are the same in both definitions
 *
 * In each case one transaction: others see the old view until the commit.
 * Nothing of what was before goes to the sink (again); what comes from then
 * on goes there by the new definition.  Streams that the view has not read so
 * far are read from where their option start says, as by a new view.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "base/stop.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "commands/event_trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/trusted.h"
#include "catalog/stream.h"
#include "compat.h"
#include "ddl/ddl.h"
#include "ddl/rebuild.h"
#include "exec/owner.h"
#include "plan/closing.h"
#include "plan/plan.h"
#include "result/cascade.h"
#include "result/key_index.h"
#include "worker/worker.h"

#define HINT_DROP "Drop the continuous view and create it anew."

/* ---- columns ---- */

void
sx_replace_check_columns(const SxView *view, const List *columns)
{
	Relation	rel = table_open(view->relid, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	int			i;

	if (list_length(columns) < desc->natts)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("cannot drop columns from continuous view %s", view->name),
				 errhint(HINT_DROP)));
	for (i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute a = TupleDescAttr(desc, i);
		const ColumnDef *column = list_nth_node(ColumnDef, columns, i);

		if (strcmp(column->colname, NameStr(a->attname)) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
					 errmsg("cannot change name of column \"%s\" of continuous view %s to \"%s\"",
							NameStr(a->attname), view->name, column->colname),
					 errhint("Columns can be added behind those that there are. For other changes drop the continuous view and create it anew.")));
		if (column->typeName->typeOid != a->atttypid ||
			column->typeName->typemod != a->atttypmod)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
					 errmsg("cannot change data type of column \"%s\" of continuous view %s from %s to %s",
							NameStr(a->attname), view->name,
							format_type_with_typemod(a->atttypid, a->atttypmod),
							format_type_with_typemod(column->typeName->typeOid,
													 column->typeName->typemod)),
					 errhint("Cast it to the type that it has, or drop the continuous view and create it anew.")));
		if (column->collOid != a->attcollation)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
					 errmsg("cannot change collation of column \"%s\" of continuous view %s",
							NameStr(a->attname), view->name),
					 errhint("Give the column the collation that it has by COLLATE, or drop the continuous view and create it anew.")));
	}
	table_close(rel, NoLock);
}

static int
columns_now(const SxView *view)
{
	Relation	rel = table_open(view->relid, AccessShareLock);
	int			result = RelationGetDescr(rel)->natts;

	table_close(rel, NoLock);
	return result;
}

bool
sx_replace_adds_columns(const SxView *view, const List *columns)
{
	return list_length(columns) > columns_now(view);
}

static Oid
collation_namespace(Oid collation)
{
	HeapTuple	tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
	Oid			result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for collation %u", collation);
	result = ((Form_pg_collation) GETSTRUCT(tuple))->collnamespace;
	ReleaseSysCache(tuple);
	return result;
}

/* A change of the result that users may not make. */
static void
change_result(const SxView *view, const char *sql)
{
	SxTrustedScope trusted;

	sx_trusted_enter(BOOTSTRAP_SUPERUSERID, &trusted);
	sx_ddl_changing = view->relid;
	PG_TRY();
	{
		(void) sx_rebuild_execute(sql, InvalidOid);
	}
	PG_FINALLY();
	{
		sx_ddl_changing = InvalidOid;
	}
	PG_END_TRY();
	sx_trusted_leave(&trusted);
}

void
sx_replace_add_columns(const SxView *view, const List *columns)
{
	char	   *table = sx_rebuild_table_name(view->relid);
	int			i;

	for (i = columns_now(view); i < list_length(columns); i++)
	{
		const ColumnDef *column = list_nth_node(ColumnDef, columns, i);
		const char *name = quote_identifier(column->colname);
		StringInfoData sql;

		initStringInfo(&sql);
		appendStringInfo(&sql, "ALTER TABLE %s ADD COLUMN %s %s", table, name,
						 format_type_extended(column->typeName->typeOid, column->typeName->typemod,
											  FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY));
		if (OidIsValid(column->collOid))
			appendStringInfo(&sql, " COLLATE %s",
							 quote_qualified_identifier(get_namespace_name(collation_namespace(column->collOid)),
														get_collation_name(column->collOid)));

		/* only the final column */
		if (column->is_not_null)
			appendStringInfo(&sql, " NOT NULL DEFAULT false; ALTER TABLE %s ALTER COLUMN %s DROP DEFAULT",
							 table, name);
		change_result(view, sql.data);
	}
}

/* ---- by what its rows are found ---- */

static bool
has_key(const SxShape *shape)
{
	return shape->strategy != SX_STRATEGY_APPEND && shape->grouped && shape->nkeys > 0;
}

/* The key index, opened; NULL: there is none. */
static Relation
open_key(const SxView *view)
{
	Relation	rel = table_open(view->relid, AccessShareLock);
	Relation	index = NULL;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		if (sx_ddl_is_key_index(lfirst_oid(lc)))
			index = index_open(lfirst_oid(lc), AccessShareLock);
	}
	table_close(rel, NoLock);
	return index;
}

/* Of one for keys of any length: the columns are in expressions. */
static bool
is_key_of(Relation index, const SxShape *shape)
{
	List	   *exprs = RelationGetIndexExpressions(index);
	int			i;

	if (index->rd_index->indnkeyatts != shape->nkeys)
		return false;
	for (i = 0; i < shape->nkeys; i++)
	{
		AttrNumber	attno = index->rd_index->indkey.values[i];

		if (attno == 0)
		{
			List	   *vars = pull_var_clause(linitial(exprs), 0);

			exprs = list_delete_first(exprs);
			attno = list_length(vars) == 1 ? linitial_node(Var, vars)->varattno : 0;
		}
		if (attno != shape->keys[i].resno)
			return false;
	}
	return true;
}

bool
sx_replace_changes_key(const SxView *view, const SxShape *shape)
{
	Relation	index = open_key(view);
	bool		changes;

	if (index == NULL)
		return has_key(shape);
	changes = !has_key(shape) || !is_key_of(index, shape);
	index_close(index, NoLock);
	return changes;
}

void
sx_replace_drop_key(const SxView *view, const SxShape *shape)
{
	Relation	index = open_key(view);
	ObjectAddress address;

	if (index == NULL)
		return;
	ObjectAddressSet(address, RelationRelationId, RelationGetRelid(index));
	index_close(index, NoLock);
	sx_ddl_release_index(view->relid, address.objectId);
	CommandCounterIncrement();
	performDeletion(&address, DROP_RESTRICT, PERFORM_DELETION_INTERNAL | PERFORM_DELETION_QUIETLY);
	CommandCounterIncrement();
}

/* Has it an index that begins with these columns? */
static bool
has_index_on_parts(const SxView *view, const SxShape *shape)
{
	Relation	rel = table_open(view->relid, AccessShareLock);
	bool		found = false;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);
		bool		same = index->rd_index->indnkeyatts >= shape->derivation->nparts;

		for (int i = 0; same && i < shape->derivation->nparts; i++)
			same = index->rd_index->indkey.values[i] == shape->derivation->parts[i].resno;
		found |= same;
		index_close(index, NoLock);
	}
	table_close(rel, NoLock);
	return found;
}

void
sx_replace_create_key(const SxView *view, const SxShape *shape, bool wide)
{
	SxTrustedScope trusted;

	sx_trusted_enter(BOOTSTRAP_SUPERUSERID, &trusted);
	if (has_key(shape) ? sx_replace_changes_key(view, shape) :
		shape->strategy == SX_STRATEGY_DERIVE && shape->derivation->nparts > 0 &&
		!has_index_on_parts(view, shape))
		sx_ddl_create_indexes(view->relid, shape, true);
	CommandCounterIncrement();
	sx_trusted_leave(&trusted);
	if (wide && has_key(shape))
		sx_key_index_widen(view->relid, shape);
}

/* ---- the sink ---- */

/* What waits to be sent would go to another topic. */
static void
check_outbox_empty(const SxView *view)
{
	bool		empty;
	SxTrustedScope trusted;

	sx_trusted_enter(BOOTSTRAP_SUPERUSERID, &trusted);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute(psprintf("SELECT FROM %s", sx_rebuild_table_name(view->outbox)), true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read an outbox");
	empty = SPI_processed == 0;
	SPI_finish();
	sx_trusted_leave(&trusted);
	if (!empty)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot change the sink of continuous view %s now", view->name),
				 errdetail("Rows still wait to be sent to it."),
				 errhint("Try again when they have been sent; column sink_lag of streamx.views tells.")));
}

void
sx_replace_sink(SxRedefinition *r)
{
	SxView	   *view = r->view;
	SxView	   *next = r->next;
	bool		same = view->sink == next->sink;
	SxOwnerScope scope;

	if (OidIsValid(view->outbox) && !same)
		check_outbox_empty(view);
	if (OidIsValid(view->sink))
		deleteDependencyRecordsForSpecific(RelationRelationId, view->relid, DEPENDENCY_NORMAL,
										   RelationRelationId, view->sink);
	next->sink_name = NULL;
	next->outbox = InvalidOid;
	sx_owner_enter(next, &scope);
	sx_ddl_prepare_sink(next);
	sx_owner_leave(&scope);
	if (same)
	{
		next->sink_name = view->sink_name;
		next->outbox = view->outbox;
	}
	else
		sx_ddl_create_outbox(next);
}

/* ---- the catalog ---- */

static void
drop_part(Oid part, Oid relid)
{
	ObjectAddress address;

	if (!OidIsValid(part))
		return;
	ObjectAddressSet(address, RelationRelationId, part);
	deleteDependencyRecordsForSpecific(RelationRelationId, part, DEPENDENCY_INTERNAL,
									   RelationRelationId, relid);
	CommandCounterIncrement();
	performDeletion(&address, DROP_RESTRICT, PERFORM_DELETION_INTERNAL | PERFORM_DELETION_QUIETLY);
}

static List *
own_streams(const SxView *view)
{
	return view->sources ? NIL : view->streams;
}

void
sx_replace_take_over(SxRedefinition *r)
{
	SxView	   *view = r->view;
	SxView	   *next = r->next;
	List	   *old = list_concat_copy(view->parts, view->value_sets);
	List	   *new = list_concat_copy(next->parts, next->value_sets);
	List	   *gone = list_difference_oid(own_streams(view), own_streams(next));
	List	   *come = list_difference_oid(own_streams(next), own_streams(view));
	SxTrustedScope trusted;
	ListCell   *lc;

	sx_replace_sink(r);
	old = lappend_oid(lappend_oid(lappend_oid(old, view->query), view->state), view->outbox);
	new = lappend_oid(lappend_oid(lappend_oid(new, next->query), next->state), next->outbox);
	sx_view_redefine(next);
	foreach(lc, list_difference_oid(old, new))
		drop_part(lfirst_oid(lc), view->relid);

	sx_trusted_enter(BOOTSTRAP_SUPERUSERID, &trusted);
	foreach(lc, gone)
		(void) sx_rebuild_execute(psprintf("DELETE FROM streamx.progress WHERE view = $1 AND stream = %u",
										   lfirst_oid(lc)), view->relid);
	sx_trusted_leave(&trusted);
	PushActiveSnapshot(GetLatestSnapshot());
	foreach(lc, come)
		sx_ddl_set_start(next, lfirst_oid(lc));
	PopActiveSnapshot();

	/* of another stream not a row is late yet */
	if (gone || come)
	{
		SxViewCounters none = {.watermark_us = PG_INT64_MIN};

		CommandCounterIncrement();
		sx_view_count(view->relid, &none);
	}
	CommandCounterIncrement();
	CacheInvalidateRelcacheByRelid(view->relid);
	sx_worker_wake();
}

List *
sx_replace_shared_streams(const SxRedefinition *r)
{
	return list_difference_oid(own_streams(r->next),
							   list_difference_oid(own_streams(r->next), own_streams(r->view)));
}

/* ---- ways to do it ---- */

static SxShape *
shape_of(const SxView *view, Query *query)
{
	return sx_plan_analyze(query ? query : sx_plan_stored_query(view->query), view->name);
}

static void
cannot_keep(const SxView *view, const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot keep the rows of continuous view %s", view->name),
			 errdetail("%s", why),
			 errhint("Use on_replace = 'backfill', which computes them anew, or 'restart'.")));
}

/* Is what is kept of the rows so far what the new definition would keep? */
static void
check_keep(const SxRedefinition *r, const SxShape *before, const SxShape *after)
{
	const SxView *view = r->view;
	const SxView *next = r->next;
	int			i;

	/* windows that have come have come: the bound is kept with the view */
	if (view->sources && view->final && next->final && r->query == NULL)
		return;
	if (view->sources || next->sources || before->strategy == SX_STRATEGY_DERIVE ||
		after->strategy == SX_STRATEGY_DERIVE)
		cannot_keep(view, "It has several levels of grouping, or reads another continuous view.");
	if (list_difference_oid(view->streams, next->streams) != NIL ||
		list_difference_oid(next->streams, view->streams) != NIL)
		cannot_keep(view, "The new definition reads other streams.");
	if (view->final != next->final || view->lateness_us != next->lateness_us ||
		(view->final_column == NULL) != (next->final_column == NULL))
		cannot_keep(view, "The options emit, lateness or final_column are others.");
	if (before->strategy != after->strategy || before->join || after->join ||
		before->sliding || after->sliding)
		cannot_keep(view, "It is maintained in another way, joins streams, or has a condition on the clock.");
	if (before->strategy == SX_STRATEGY_APPEND)
		return;
	if (before->nkeys != after->nkeys || before->npartials != after->npartials ||
		before->nheld != after->nheld || before->nsets != after->nsets ||
		!equal(before->batch_query->targetList, after->batch_query->targetList) ||
		!equal(before->batch_query->groupClause, after->batch_query->groupClause))
		cannot_keep(view, "The grouping columns or the aggregates are others, or of other tables.");
	for (i = 0; i < before->npartials; i++)
	{
		if (before->partials[i].stored_type != after->partials[i].stored_type ||
			!equal(before->partials[i].aggref, after->partials[i].aggref))
			cannot_keep(view, "The aggregates are others.");
	}
	for (i = 0; i < before->nsets; i++)
	{
		if (!equal(before->sets[i].filter, after->sets[i].filter) ||
			before->sets[i].nvalues != after->sets[i].nvalues)
			cannot_keep(view, "The aggregates are others.");
	}
}

static void
lock_result(const SxRedefinition *r, const SxShape *shape)
{
	ListCell   *lc;

	foreach(lc, list_concat_unique_oid(list_copy(r->view->streams), r->next->streams))
		LockRelationOid(lfirst_oid(lc), AccessShareLock);
	LockRelationOid(r->view->relid,
					sx_replace_adds_columns(r->view, r->columns) ||
					sx_replace_changes_key(r->view, shape) ?
					AccessExclusiveLock : ShareRowExclusiveLock);
}

static void
keep(SxRedefinition *r)
{
	SxView	   *next = r->next;
	SxShape    *before = shape_of(r->view, NULL);
	SxTrustedScope trusted;

	lock_result(r, before);
	sx_replace_add_columns(r->view, r->columns);
	if (r->query)
	{
		/* it has the name of the one before */
		drop_part(r->view->query, r->view->relid);
		sx_trusted_enter(BOOTSTRAP_SUPERUSERID, &trusted);
		EventTriggerInhibitCommandCollection();
		sx_ddl_store_query(next, r->query);
		EventTriggerUndoInhibitCommandCollection();
		sx_trusted_leave(&trusted);
		r->view->query = next->query;
	}
	if (r->query || r->view->final != next->final || r->view->lateness_us != next->lateness_us ||
		(r->view->final_column == NULL) != (next->final_column == NULL))
		check_keep(r, before, shape_of(r->view, NULL));
	sx_replace_take_over(r);
}

/*
 * Of a final view over other views no window has come.  What is complete now
 * does not go to its sink.
 */
static void
begin_windows(const SxRedefinition *r, const SxShape *shape)
{
	const SxView *view = r->next;
	SxComplete	complete = {.before_us = PG_INT64_MIN};
	SxOwnerScope scope;

	if (view->final)
	{
		sx_owner_enter(view, &scope);
		(void) sx_rebuild_execute(psprintf("DELETE FROM %s", sx_rebuild_table_name(view->relid)), InvalidOid);
		sx_owner_leave(&scope);
		PushActiveSnapshot(GetLatestSnapshot());
		sx_plan_find_closing(shape, view->name);
		sx_cascade_complete(view, shape->derivation->closing, sx_cascade_standing, &complete);

		/* the same windows: those that have come have come */
		if (r->query == NULL && r->view->sources && r->view->final)
			complete.before_us = Max(complete.before_us, sx_view_final_before(view->relid));
		PopActiveSnapshot();
	}
	sx_view_set_final_before(view->relid, complete.before_us);
}

/* Emptied, made anew, and read again: while its worker waits. */
static void
in_place(SxRedefinition *r, const char *start)
{
	SxView	   *view = r->view;
	SxView	   *next = r->next;
	SxShape    *shape = shape_of(view, r->query);
	SxOwnerScope scope;

	lock_result(r, shape);
	if (sx_replace_changes_key(view, shape))
	{
		sx_replace_drop_key(view, shape);
		sx_owner_enter(view, &scope);
		(void) sx_rebuild_execute(psprintf("DELETE FROM %s", sx_rebuild_table_name(view->relid)), InvalidOid);
		sx_owner_leave(&scope);
	}
	sx_replace_add_columns(view, r->columns);
	sx_replace_create_key(view, shape, false);
	next->id = sx_view_next_id();
	sx_ddl_create_parts(next, r->query, shape);
	CommandCounterIncrement();
	sx_replace_take_over(r);
	if (next->sources)
		begin_windows(r, shape);
	sx_ddl_rebuild(view->relid, start, false);
}

void
sx_replace(SxRedefinition *r, const char *mode)
{
	SxView	   *next = r->next;

	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("a continuous view is replaced at isolation level READ COMMITTED only"),
				 errhint("Use a transaction of that level.")));
	sx_worker_require_preloaded();
	if (r->query)
		next->sqlstate = next->error = NULL;	/* it was of what is replaced */
	PushActiveSnapshot(GetLatestSnapshot());
	if (mode && strcmp(mode, "keep") == 0)
		keep(r);
	else if (mode && strcmp(mode, "restart") == 0)
		in_place(r, "latest");
	else if (next->sources == NIL && sx_beside_possible(r->view) &&
			 sx_replace_shared_streams(r) != NIL)
		sx_beside_rebuild(r);
	else
		in_place(r, r->start);
	PopActiveSnapshot();
	SX_STOP("replace_view", r->view->name);
}

/* ---- CREATE OR REPLACE ---- */

void
sx_ddl_check_replace_options(const SxCreateView *stmt, const SxView *view)
{
	if (view->on_replace && !stmt->replace)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"streamx.on_replace\" in a statement that does not replace a view"),
				 errhint("Use CREATE OR REPLACE, or leave the option out.")));
}

/* Does the view stand on the other one, through whatever lies between? */
static bool
stands_on(const SxView *view, Oid other)
{
	ListCell   *lc;

	check_stack_depth();
	foreach(lc, view->sources)
	{
		SxView	   *source = sx_view_get(lfirst_oid(lc));

		if (lfirst_oid(lc) == other || (source && stands_on(source, other)))
			return true;
	}
	return false;
}

ObjectAddress
sx_ddl_replace_view(const SxCreateView *stmt, SxView *next, List *storage, Oid existing)
{
	SxRedefinition r = {0};
	ObjectAddress address;

	if (!sx_view_is(existing))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a continuous view", stmt->relation->relname),
				 errhint("Choose another name, or drop it first.")));
	sx_ddl_check_owned_view(existing);
	if (storage != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot change storage parameters of continuous view \"%s\" by replacing it",
						stmt->relation->relname),
				 errhint("Use ALTER TABLE ... SET.")));
	sx_view_lock_definition(existing);
	r.view = sx_view_get(existing);
	sx_ddl_check_period_replace(r.view, next);
	if (r.view == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("continuous view \"%s\" was dropped", stmt->relation->relname),
				 errhint("Try again.")));
	r.next = next;
	r.query = stmt->query;
	(void) sx_ddl_define(stmt, next, &r.columns);
	next->relid = existing;
	next->id = r.view->id;
	next->owner = r.view->owner;
	next->name = r.view->name;
	next->query = r.view->query;
	next->state = r.view->state;
	next->parts = r.view->parts;
	next->value_sets = r.view->value_sets;
	next->settings = sx_ddl_current_settings();
	next->paused = r.view->paused;
	if (stands_on(next, existing))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("continuous view %s would read itself", r.view->name),
				 errhint("Read another view or stream.")));
	if (next->sources)
		next->streams = NIL;
	for (int i = 0; i < list_length(next->sources); i++)
		next->streams = list_concat_unique_oid(next->streams,
											   sx_view_get(list_nth_oid(next->sources, i))->streams);
	sx_replace_check_columns(r.view, r.columns);
	r.start = next->start;
	sx_replace(&r, next->on_replace);

	ObjectAddressSet(address, RelationRelationId, existing);
	return address;
}

/* ---- ALTER ... SET ---- */

void
sx_ddl_replace_options(SxView *view, SxView *next)
{
	SxRedefinition r = {0};
	const char *mode = next->on_replace;

	sx_ddl_check_period_replace(view, next);
	r.view = view;
	r.next = next;

	/* these say where the rows go from now on, not which there are */
	if (mode == NULL && view->final == next->final &&
		(view->lateness_us == next->lateness_us || (view->sources && view->final)) &&
		(view->final_column == NULL) == (next->final_column == NULL))
		mode = "keep";
	r.columns = sx_ddl_columns_of(sx_plan_stored_query(view->query));
	if (next->final_column)
	{
		ColumnDef  *column = makeColumnDef(next->final_column, BOOLOID, -1, InvalidOid);

		column->is_not_null = true;
		r.columns = lappend(r.columns, column);
	}
	sx_replace_check_columns(view, r.columns);
	sx_replace(&r, mode);
}
