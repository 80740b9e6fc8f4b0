/*-------------------------------------------------------------------------
 * ddl.h
 *		The statements of continuous views and streams.
 *-------------------------------------------------------------------------
 */
#ifndef SX_DDL_DDL_H
#define SX_DDL_DDL_H

#include "postgres.h"

#include "catalog/objectaddress.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"

#include "catalog/view.h"
#include "fdw/batch_scan.h"

/* Installs the hooks; from _PG_init. */
extern void sx_ddl_init(void);

/* ---- options.c ---------------------------------------------------------- */

/* Is there an option of ours (streamx.<something>) in a WITH list? */
extern bool sx_ddl_has_options(const List *options);

/*
 * sx_ddl_read_options -- take the options of a WITH list apart
 *
 * Ours go into *view, the rest is returned, for the result table.  *continuous
 * is false if the statement makes an ordinary view.
 */
extern List *sx_ddl_read_options(const List *options, SxView *view,
								 bool *continuous);

/* ---- sink.c ------------------------------------------------------------- */

/* The stream that the option names; ERROR unless rows can be written to it. */
extern Oid	sx_ddl_find_sink(const char *name);

/* ERROR for options of a sink without one. */
extern void sx_ddl_check_sink_options(const SxView *view);

/*
 * With the result table there: does the sink fit, may its owner write to it;
 * what depends on it.  Fills in view->sink_name.
 */
extern void sx_ddl_prepare_sink(SxView *view);

/* CREATE TABLE of an outbox */
extern CreateStmt *sx_ddl_outbox_stmt(RangeVar *relation);

/* ---- create_view.c ------------------------------------------------------ */

/* A CREATE statement, whatever it was spelled like. */
typedef struct SxCreateView
{
	RangeVar   *relation;
	List	   *aliases;		/* String: column names, or NIL */
	Query	   *query;			/* after parse analysis; changed */
	List	   *options;		/* DefElem, ours and the result table's */
	char	   *access_method;	/* of the result table; NULL: default */
	char	   *tablespace;		/* of the result table; NULL: default */
	bool		if_not_exists;
	bool		replace;		/* CREATE OR REPLACE */
} SxCreateView;

/*
 * sx_ddl_create_view -- make a continuous view
 *
 * As the current user, who will own it.  Returns the result table, or an
 * invalid address if it existed and if_not_exists was given.
 */
extern ObjectAddress sx_ddl_create_view(const SxCreateView *stmt);

/* Its parts, which a view that is replaced or rebuilt gets anew as well. */
struct SxShape;
extern struct SxShape *sx_ddl_define(const SxCreateView *stmt, SxView *view, List **columns);
extern void sx_ddl_run_statement(Node *parsetree);
extern List *sx_ddl_columns_of(Query *query);	/* ColumnDef */
extern List *sx_ddl_current_settings(void);

/* Those by which its rows are found.  protect: from users */
extern void sx_ddl_create_indexes(Oid result, const struct SxShape *shape, bool protect);

extern void sx_ddl_store_query(SxView *view, Query *query);

/* query NULL: the view has its stored query. */
extern void sx_ddl_create_parts(SxView *view, Query *query, const struct SxShape *shape);
extern void sx_ddl_create_outbox(SxView *view);

/* Where it begins to read a stream, if that has to be said now. */
extern void sx_ddl_set_start(const SxView *view, Oid streamid);

/* ---- replace.c ----------------------------------------------------------- */

/* ERROR for options that say how to replace in a statement that does not. */
extern void sx_ddl_check_replace_options(const SxCreateView *stmt, const SxView *view);

/*
 * sx_ddl_replace_view -- CREATE OR REPLACE of a relation that is there
 *
 * view: the options of the statement; storage: its options that are the result
 * table's.
 */
extern ObjectAddress sx_ddl_replace_view(const SxCreateView *stmt, SxView *view,
										 List *storage, Oid existing);

/*
 * next is what the view (as it is) becomes: its definition in the catalog, the
 * parts that it has no longer, where it stands in streams that it has not
 * read so far.  The columns and rows of the result are the caller's affair.
 */
extern void sx_ddl_take_over(const SxView *view, SxView *next);

/* ---- functions.c -------------------------------------------------------- */

/* ERROR unless it is a continuous view. */
extern void sx_ddl_check_view(Oid relid);

/* ERROR unless it is one and the user may read any of its columns, or owns it. */
extern void sx_ddl_check_readable_view(Oid relid);

/* ERROR unless it is one and the user may act as its owner. */
extern void sx_ddl_check_owned_view(Oid relid);

/* ---- protect.c ---------------------------------------------------------- */

/* ERROR if the statement would change what a continuous view needs. */
extern void sx_ddl_check_alter_table(const AlterTableStmt *stmt);
extern void sx_ddl_check_rename(const RenameStmt *stmt);
extern void sx_ddl_check_set_schema(const AlterObjectSchemaStmt *stmt);
extern void sx_ddl_check_rule(const RuleStmt *stmt);
extern void sx_ddl_check_trigger(const CreateTrigStmt *stmt);
extern void sx_ddl_check_refresh(const RefreshMatViewStmt *stmt);

/*
 * The key index belongs to the result table like a part of it: it goes with
 * the table only.  release: let it be dropped (to be made anew).
 */
extern void sx_ddl_protect_index(Oid result, Oid index);
extern void sx_ddl_release_index(Oid result, Oid index);
extern bool sx_ddl_is_key_index(Oid index);

/* This relation is being changed by us: all is allowed. */
extern Oid	sx_ddl_changing;

/* ---- alter_view.c -------------------------------------------------------- */

/* Does ALTER ... SET or RESET name options of continuous views? */
extern bool sx_ddl_alters_options(const AlterTableStmt *stmt);

/* It does, of a continuous view. */
extern void sx_ddl_alter_options(const AlterTableStmt *stmt);

/* ERROR if an option needs windows that close, and none do. */
extern void sx_ddl_check_closing(const SxView *view, const struct SxShape *shape, const char *name);

/* period.c: results that are partitioned, and what they cannot be */
extern void sx_ddl_check_period(const SxView *view, const struct SxShape *shape, const char *name);
extern void sx_ddl_check_storage(const SxView *view, const List *options, const char *name);
extern void sx_ddl_check_sources(Query *query, const char *name);
extern void sx_ddl_check_period_replace(const SxView *view, const SxView *next);

/* How the result is partitioned; NULL: it is an ordinary table. */
extern PartitionSpec *sx_ddl_partition_spec(const SxView *view, const struct SxShape *shape,
											List *columns);

/*
 * One option, into the view; NULL: back to its default.  *anew: what is kept
 * was made by it, or what it needs has to be made.
 */
extern void sx_ddl_read_option(SxView *view, const char *name, const char *value, bool *anew);

/* ---- replace.c: what the view becomes by such options ---- */
extern void sx_ddl_replace_options(SxView *view, SxView *next);

/* ---- drop.c ------------------------------------------------------------- */

/* Is a continuous view among the names of DROP [MATERIALIZED] VIEW? */
extern bool sx_ddl_names_view(const DropStmt *stmt);

/*
 * sx_ddl_drop_views -- DROP [MATERIALIZED] VIEW of that kind and of ours
 *
 * In one go: they may depend on each other.
 */
extern void sx_ddl_drop_views(const DropStmt *stmt);

/* Follow drops of result tables and streams, however they come about. */
extern void sx_ddl_init_drop(void);

/* ---- database.c --------------------------------------------------------- */

/*
 * Which other database the statement wants for itself; InvalidOid: none, or
 * it is going to fail.
 */
extern Oid	sx_ddl_database_of_stmt(Node *stmt, bool is_top_level);

/* ---- verify.c ----------------------------------------------------------- */

/*
 * ERROR if a journal has no longer all that lies between the bounds.  Kafka
 * says so itself, generators make it again.  verb: what cannot be done then.
 */
extern void sx_ddl_check_kept(const SxView *view, const SxScanBounds *bounds,
							  const char *verb);

/* ---- rebuild.c ---------------------------------------------------------- */

/*
 * streamx.rebuild without asking who may.  shed: groups that fail are given up,
 * as in a worker; else the error is raised unless some were before.
 */
extern void sx_ddl_rebuild(Oid relid, const char *start, bool shed);

/* Deferrable constraints of a result are checked with its rows from now on. */
extern void sx_ddl_check_at_once(Oid relid);

#endif							/* SX_DDL_DDL_H */
