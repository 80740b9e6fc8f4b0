/*-------------------------------------------------------------------------
 * leaf.c
 *		The partitions of a result that is partitioned by the window column.
 *
 * A partition is made in the transaction of the batch that needs it, as a
 * table of its own that is then attached: readers of the result do not wait
 * for that, as they would for CREATE TABLE ... PARTITION OF.  Attaching needs
 * that nobody in this process has the result open: a writer of it keeps the
 * partitions open, not itself.
 *
 * Which partition is that of a value is asked of the catalog, not computed:
 * the owner may have attached and detached others.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/tablespace.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/partcache.h"
#include "utils/resowner.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/trusted.h"
#include "result/leaf.h"

/* Monday 2000-01-03, where windows begin by default: see window/ */
#define ORIGIN_US	(2 * USECS_PER_DAY)

#define DROP_LEAVES		10		/* that one batch tries to drop */

/*
 * How far the partitions of a result have been tried, so that those that stay
 * do not keep later ones from being dropped.  Of the process: results are
 * opened anew when partitions come and go.
 */
typedef struct Tried
{
	Oid			result;
	int64		to_us;			/* PG_INT64_MIN: begin with the oldest */
} Tried;

static List *all_tried = NIL;

static int64
bound_at(PartitionBoundInfo bounds, int i)
{
	if (i < 0)
		return PG_INT64_MIN;
	if (i >= bounds->ndatums)
		return PG_INT64_MAX;
	switch (bounds->kind[i][0])
	{
		case PARTITION_RANGE_DATUM_MINVALUE:
			return PG_INT64_MIN;
		case PARTITION_RANGE_DATUM_MAXVALUE:
			return PG_INT64_MAX;
		default:
			return DatumGetInt64(bounds->datums[i][0]);
	}
}

/* Which one takes this value, and what else it takes. */
static bool
find_leaf(Oid result, int64 value, SxLeaf *leaf)
{
	Relation	rel = table_open(result, RowExclusiveLock);
	PartitionKey key = RelationGetPartitionKey(rel);
	PartitionDesc desc = RelationGetPartitionDesc(rel, true);
	bool		found = false;

	if (desc->nparts > 0)
	{
		PartitionBoundInfo bounds = desc->boundinfo;
		Datum		datum = Int64GetDatum(value);
		bool		equal;
		int			i = partition_range_datum_bsearch(key->partsupfunc, key->partcollation,
													  bounds, 1, &datum, &equal) + 1;

		if (bounds->indexes[i] >= 0)
		{
			leaf->relid = desc->oids[bounds->indexes[i]];
			leaf->from_us = bound_at(bounds, i - 1);
			leaf->to_us = bound_at(bounds, i);
			found = true;
		}
		else if (bounds->default_index >= 0)
		{
			leaf->relid = desc->oids[bounds->default_index];
			leaf->from_us = value;
			leaf->to_us = value + 1;
			found = true;
		}
	}
	table_close(rel, NoLock);
	return found;
}

/* A bound as a literal; whatever the DateStyle, and in UTC. */
static char *
literal_of(int64 us, Oid type)
{
	struct pg_tm tm;
	fsec_t		fsec;

	if (us < MIN_TIMESTAMP)
		return "MINVALUE";
	if (us >= END_TIMESTAMP || timestamp2tm(us, NULL, &tm, &fsec, NULL, NULL) != 0)
		return "MAXVALUE";
	return psprintf("'%04d-%02d-%02d %02d:%02d:%02d.%06d%s%s'",
					tm.tm_year > 0 ? tm.tm_year : 1 - tm.tm_year, tm.tm_mon, tm.tm_mday,
					tm.tm_hour, tm.tm_min, tm.tm_sec, (int) fsec,
					type == TIMESTAMPTZOID ? "+00" : "",
					tm.tm_year > 0 ? "" : " BC");
}

/* The result's name and where the period starts: to the day if all do. */
static char *
name_of(const SxLeaves *l, int64 from_us)
{
	Oid			schema = get_rel_namespace(l->relid);
	char	   *table = get_rel_name(l->relid);
	struct pg_tm tm;
	fsec_t		fsec;
	char	   *start = "first";
	char	   *name;

	if (from_us >= MIN_TIMESTAMP && timestamp2tm(from_us, NULL, &tm, &fsec, NULL, NULL) == 0)
	{
		start = psprintf("%s%04d%02d%02d", tm.tm_year > 0 ? "" : "bc",
						 tm.tm_year > 0 ? tm.tm_year : 1 - tm.tm_year, tm.tm_mon, tm.tm_mday);
		if (l->period_us % USECS_PER_DAY != 0)
			start = psprintf("%s_%02d%02d%02d", start, tm.tm_hour, tm.tm_min, tm.tm_sec);
	}
	name = makeObjectName(table, start, NULL);
	if (OidIsValid(get_relname_relid(name, schema)))
		name = ChooseRelationName(table, start, "p", schema, false);
	return name;
}

static void
execute(const char *sql)
{
	SxTrustedScope trusted;

	sx_trusted_enter(BOOTSTRAP_SUPERUSERID, &trusted);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute(sql, false, 0) < 0)
		elog(ERROR, "could not execute: %s", sql);
	SPI_finish();
	sx_trusted_leave(&trusted);
	CommandCounterIncrement();
}

/* Of the result, as they are now; new partitions are like it. */
static void
owner_and_space(Oid result, Oid *owner, Oid *space)
{
	Relation	rel = table_open(result, RowExclusiveLock);

	*owner = rel->rd_rel->relowner;
	*space = rel->rd_rel->reltablespace;
	table_close(rel, NoLock);
}

/* The owner may not be allowed to create tables there: not as he. */
static void
make_leaf(const SxLeaves *l, int64 value)
{
	char	   *schema = get_namespace_name(get_rel_namespace(l->relid));
	const char *result = quote_qualified_identifier(schema, get_rel_name(l->relid));
	int64		offset = (value - ORIGIN_US) % l->period_us;
	int64		from = value - (offset < 0 ? offset + l->period_us : offset);
	const char *leaf = quote_qualified_identifier(schema, name_of(l, from));
	StringInfoData sql;
	Oid			owner;
	Oid			space;

	owner_and_space(l->relid, &owner, &space);
	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE TABLE %s (LIKE %s INCLUDING CONSTRAINTS INCLUDING DEFAULTS"
					 " INCLUDING STORAGE INCLUDING COMPRESSION) WITH (fillfactor = %d)",
					 leaf, result, l->fillfactor);
	if (OidIsValid(space))
		appendStringInfo(&sql, " TABLESPACE %s", quote_identifier(get_tablespace_name(space)));
	appendStringInfo(&sql, "; ALTER TABLE %s REPLICA IDENTITY FULL; ALTER TABLE %s OWNER TO %s;"
					 " ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (%s) TO (%s)",
					 leaf, leaf, quote_identifier(GetUserNameFromId(owner, false)),
					 result, leaf, literal_of(from, l->type),
					 literal_of(from + l->period_us, l->type));
	execute(sql.data);
}

/*
 * Are rows of the result rows of the partition?  One that somebody attached may
 * have the columns in another order.
 */
static bool
same_columns(TupleDesc a, TupleDesc b)
{
	if (a->natts != b->natts)
		return false;
	for (int i = 0; i < a->natts; i++)
	{
		Form_pg_attribute x = TupleDescAttr(a, i);
		Form_pg_attribute y = TupleDescAttr(b, i);

		if (x->attisdropped != y->attisdropped || x->atttypid != y->atttypid ||
			x->atttypmod != y->atttypmod || x->attgenerated != y->attgenerated ||
			(!x->attisdropped && strcmp(NameStr(x->attname), NameStr(y->attname)) != 0))
			return false;
	}
	return true;
}

static SxLeaf *
open_leaf(SxWriter *w, const SxLeaf *found)
{
	SxLeaves   *l = w->leaves;
	MemoryContext old;
	SxLeaf	   *leaf;
	ListCell   *lc;

	/* the default one takes more than what it was opened for */
	foreach(lc, l->leaves)
	{
		leaf = lfirst(lc);
		if (leaf->relid == found->relid)
			return leaf;
	}
	if (get_rel_relkind(found->relid) != RELKIND_RELATION)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("partition \"%s\" of a continuous view is not an ordinary table",
						get_rel_name(found->relid)),
				 errhint("Detach it: partitions that are needed are made.")));
	old = MemoryContextSwitchTo(w->estate->es_query_cxt);
	leaf = palloc(sizeof(SxLeaf));
	*leaf = *found;
	leaf->writer = sx_writer_begin(found->relid);
	if (!same_columns(RelationGetDescr(leaf->writer->rel), w->slot->tts_tupleDescriptor))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("partition \"%s\" of a continuous view has other columns than the view, or in another order",
						get_rel_name(found->relid)),
				 errhint("Detach it: partitions that are needed are made.")));
	leaf->writer->leaf = true;
	leaf->writer->slot = w->slot;
	leaf->writer->watches = w->watches;
	l->leaves = lappend(l->leaves, leaf);
	MemoryContextSwitchTo(old);
	return leaf;
}

SxLeaf *
sx_leaf_get(SxWriter *w, int64 value, bool make)
{
	SxLeaves   *l = w->leaves;
	SxLeaf		found = {0};
	ListCell   *lc;

	if (l->last && value >= l->last->from_us && value < l->last->to_us)
		return l->last;
	foreach(lc, l->leaves)
	{
		SxLeaf	   *leaf = lfirst(lc);

		if (value >= leaf->from_us && value < leaf->to_us)
			return l->last = leaf;
	}
	if (!find_leaf(l->relid, value, &found))
	{
		if (!make)
			return NULL;
		if (l->period_us > 0)
			make_leaf(l, value);
		if (!find_leaf(l->relid, value, &found))
			ereport(ERROR,
					(errcode(ERRCODE_CHECK_VIOLATION),
					 errmsg("no partition of continuous view \"%s\" takes a window that is to be written",
							get_rel_name(l->relid)),
					 errhint("Attach one, or detach those whose bounds are in the way.")));
	}
	return l->last = open_leaf(w, &found);
}

/* ---- those that are past ---- */

static Tried *
tried_of(Oid result)
{
	MemoryContext old;
	Tried	   *tried;
	ListCell   *lc;

	foreach(lc, all_tried)
	{
		tried = lfirst(lc);
		if (tried->result == result)
			return tried;
	}
	old = MemoryContextSwitchTo(TopMemoryContext);
	tried = palloc(sizeof(Tried));
	tried->result = result;
	tried->to_us = PG_INT64_MIN;
	all_tried = lappend(all_tried, tried);
	MemoryContextSwitchTo(old);
	return tried;
}

/* Ordinary tables among them, the oldest first; *tried: from there, to there. */
static List *
list_before(Oid result, int64 before, int64 *tried, bool *left)
{
	Relation	rel = table_open(result, RowExclusiveLock);
	PartitionDesc desc = RelationGetPartitionDesc(rel, true);
	List	   *leaves = NIL;
	int64		last = PG_INT64_MIN;

	*left = false;
	for (int i = 0; desc->nparts > 0 && i < desc->boundinfo->ndatums; i++)
	{
		int			n = desc->boundinfo->indexes[i];

		if (n < 0 || get_rel_relkind(desc->oids[n]) != RELKIND_RELATION)
			continue;
		if (bound_at(desc->boundinfo, i) > before)
			break;
		if (bound_at(desc->boundinfo, i) <= *tried)
			continue;
		if (list_length(leaves) == DROP_LEAVES)
		{
			*left = true;
			break;
		}
		leaves = lappend_oid(leaves, desc->oids[n]);
		last = bound_at(desc->boundinfo, i);
	}
	*tried = *left ? last : PG_INT64_MIN;
	table_close(rel, NoLock);
	return leaves;
}

/* false: something depends on it; that is told, and it stays. */
static bool
drop_leaf(Oid leaf)
{
	MemoryContext old = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	char	   *name = get_rel_name(leaf);
	char	   *sql = psprintf("DROP TABLE %s",
							   quote_qualified_identifier(get_namespace_name(get_rel_namespace(leaf)), name));
	ErrorData  *volatile edata = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(old);
	PG_TRY();
	{
		execute(sql);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		edata = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	CurrentResourceOwner = owner;
	if (edata == NULL)
		return true;
	if (edata->sqlerrcode != ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST)
		ReThrowError(edata);
	ereport(WARNING,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("retention cannot drop partition \"%s\"", name),
			 edata->detail ? errdetail_internal("%s", edata->detail) : 0,
			 errhint("Drop what depends on it, or detach the partition.")));
	FreeErrorData(edata);
	return false;
}

int
sx_leaf_drop_before(Oid result, int64 before, bool *left)
{
	Tried	   *tried = tried_of(result);
	int64		to = tried->to_us;
	List	   *leaves = list_before(result, before, &to, left);
	int			dropped = 0;
	ListCell   *lc;

	if (leaves == NIL)
	{
		tried->to_us = to;
		return 0;
	}
	if (!ConditionalLockRelationOid(result, AccessExclusiveLock))
	{
		*left = true;
		return 0;
	}
	tried->to_us = to;
	foreach(lc, leaves)
	{
		if (!ConditionalLockRelationOid(lfirst_oid(lc), AccessExclusiveLock))
			*left = true;
		else if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(lfirst_oid(lc))) &&
				 drop_leaf(lfirst_oid(lc)))
			dropped++;
	}
	return dropped;
}
