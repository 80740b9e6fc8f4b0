/*-------------------------------------------------------------------------
 * state_table.c
 *		Does a state table fit the states that its view has now?
 *
 * Its columns were made for the aggregates as they were then.  pg_upgrade may
 * bring it to a PostgreSQL whose aggregates have states of another kind: where
 * these can be told from the old ones, the table is rewritten, once; where
 * not, the view stops.  (How a view is kept has to be the same in each major,
 * see compat.h.)
 *
 * A worker sees to that before it has the view open: a batch that changes
 * what it depends on would begin anew, for ever.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/trusted.h"
#include "catalog/view.h"
#include "compat.h"
#include "result/state_table.h"

bool		sx_state_table_changing = false;

static void
refuse(const SxView *view, Oid relid, const char *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the state of continuous view \"%s\" does not fit its aggregates",
					view->name),
			 errdetail("Column \"%s\" of table %s was made for another version of one of them.",
					   column, quote_qualified_identifier("streamx_state", get_rel_name(relid))),
			 errhint("Create the continuous view anew.")));
}

static void
run(const char *sql)
{
	SxTrustedScope trusted;

	/* the protection of the table is for users, see ddl/ */
	sx_trusted_enter(BOOTSTRAP_SUPERUSERID, &trusted);
	sx_state_table_changing = true;
	PG_TRY();
	{
		if (SPI_connect() != SPI_OK_CONNECT)
			elog(ERROR, "SPI_connect failed");
		if (SPI_execute(sql, false, 0) < 0)
			elog(ERROR, "could not rewrite a state table: %s", sql);
		SPI_finish();
	}
	PG_FINALLY();
	{
		sx_state_table_changing = false;
	}
	PG_END_TRY();
	sx_trusted_leave(&trusted);
	CommandCounterIncrement();
}

/* Rewrites what can be; columns of unknown kinds: an ERROR, or left (lenient). */
static void
fit(const SxView *view, Oid relid, const SxShape *shape, bool lenient)
{
	char	   *name = get_rel_name(relid);
	char	   *schema = get_namespace_name(get_rel_namespace(relid));
	StringInfoData sql;

	/* its restore goes on */
	if (name == NULL || schema == NULL)
		return;
	initStringInfo(&sql);
	for (int i = 0; i < shape->npartials; i++)
	{
		const SxPartial *partial = &shape->partials[i];
		char	   *column = psprintf("p%d", i + 1);
		AttrNumber	attno = get_attnum(relid, column);
		Oid			type = attno == InvalidAttrNumber ? InvalidOid : get_atttype(relid, attno);
		const char *expr;

		if (type == partial->stored_type)
			continue;
		expr = sx_state_of_before(partial->aggref->aggfnoid, type);
		if (expr == NULL)
		{
			if (lenient)
				continue;
			refuse(view, relid, column);
		}
		appendStringInfo(&sql, "%s ALTER COLUMN %s TYPE %s USING ",
						 sql.len > 0 ? "," : "", column,
						 format_type_be_qualified(partial->stored_type));
		/* $ stands for the column */
		for (const char *p = expr; *p; p++)
		{
			if (*p == '$')
				appendStringInfoString(&sql, column);
			else
				appendStringInfoChar(&sql, *p);
		}
	}
	if (sql.len == 0)
		return;
	ereport(LOG,
			(errcode(ERRCODE_SUCCESSFUL_COMPLETION),
			 errmsg("rewriting the state of continuous view \"%s\" for this version of PostgreSQL",
					view->name)));
	run(psprintf("ALTER TABLE %s%s", quote_qualified_identifier(schema, name), sql.data));
}

void
sx_state_table_fit(const SxView *view, const SxShape *shape)
{
	fit(view, view->state, shape, false);
}

/* Has it a column of a type that states may have had before? */
static bool
is_suspect(Oid relid)
{
	bool		suspect = false;
	AttrNumber	attno;

	for (int i = 1; !suspect &&
		 (attno = get_attnum(relid, psprintf("p%d", i))) != InvalidAttrNumber; i++)
		suspect = sx_state_type_of_before(get_atttype(relid, attno));
	return suspect;
}

bool
sx_state_table_is_old(const SxView *view)
{
	bool		suspect;

	if (!sx_state_type_of_before(INTERVALOID))
		return false;
	suspect = OidIsValid(view->state) && is_suspect(view->state);
	for (int i = 1; i < list_length(view->parts) && !suspect; i += 2)
		suspect = is_suspect(list_nth_oid(view->parts, i));
	return suspect;
}

void
sx_state_table_renew(const SxView *view)
{
	SxShape    *shape = sx_plan_analyze(sx_plan_stored_query(view->query), view->name);

	if (shape->strategy == SX_STRATEGY_MERGE)
		fit(view, view->state, shape, true);
	for (int i = 0; shape->derivation && i < shape->derivation->nkept &&
		 2 * i + 1 < list_length(view->parts); i++)
	{
		const SxShape *core = shape->derivation->cores[i].shape;

		if (core && core->strategy == SX_STRATEGY_MERGE)
			fit(view, list_nth_oid(view->parts, 2 * i + 1), core, true);
	}
}
