/*-------------------------------------------------------------------------
 * journal.c
 *		The tables that keep what native and socket streams took in, and
 *		their care: making, following the stream's columns, emptying.
 *
 * A journal is a row of streamx.journals and a few tables in streamx_state,
 * its segments.  Rows go into the current segment.  A segment that is no more
 * current, whose rows every view has and which no transaction can still be
 * writing to is emptied by TRUNCATE, whereupon it may become current again.
 * One long transaction therefore keeps one segment, never the rows of others.
 *
 * A row of a segment is a chunk: the rows that one statement brought (as many
 * as fit on a page), as one array per column of the stream.  So bulk loads
 * cost one heap tuple and one index entry per page, and a reader gets columns.
 * The arrays are typed: enums, composites and the like survive a dump.
 * Arrays of arrays do not exist: there the element type is a domain over the
 * array type, streamx_state.j<id>_c<slot>.
 *
 * Column c<slot> of a segment belongs to the stream's column that
 * journals.columns / slots say, by attribute number.  A column whose type is
 * changed gets c<slot>v2, v3 ... beside the old one; readers look at all.
 * Dropped columns lose their slot; a new column never gets an old slot.
 *
 * Transaction ids order the chunks (see native_position.c) and mean something only in
 * the cluster that gave them out: a journal that finds itself in a cluster
 * with another system identifier (restored from a dump, or upgraded) enters
 * a new era, and chunks, positions and comparisons carry the era.
 *
 * Locks: changing the row of streamx.journals needs the object lock of
 * sx_journal_lock(), held to the end of the transaction; writers hold ROW
 * EXCLUSIVE on the segment that they use, to the end of theirs; emptying
 * takes ACCESS EXCLUSIVE, and only if it need not wait.  A writer that still
 * uses a segment that is no more current does no harm: readers look at all.
 * Whoever changes the row invalidates the stream's relcache entry, which
 * drops the writers' plans.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/index.h"
#include "base/trusted.h"
#include "catalog/extension.h"
#include "catalog/stream.h"
#include "catalog/view.h"
#include "compat.h"
#include "source/journal.h"
#include "source/journal_internal.h"

/* Columns of streamx.journals. */
#define ANUM_STREAM			1
#define ANUM_ID				2
#define ANUM_SEGMENTS		3
#define ANUM_CLOSED			4
#define ANUM_CURRENT		5
#define ANUM_ERA			6
#define ANUM_SYSTEM			7
#define ANUM_COLUMNS		8
#define ANUM_SLOTS			9
#define ANUM_NEXT_POSITION	10
#define NATTS_JOURNALS		10

#define FIRST_SEGMENTS		2

static Oid
journals_relid(void)
{
	Oid			schema = get_namespace_oid("streamx", true);
	Oid			relid = InvalidOid;

	if (OidIsValid(schema))
		relid = get_relname_relid("journals", schema);
	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"streamx.journals\" does not exist"),
				 errhint("Create the extension: CREATE EXTENSION streamx.")));
	return relid;
}

/* Run a statement as the owner of the extension's schemas. */
void
sx_journal_run(const char *sql)
{
	Oid			schema = get_namespace_oid("streamx_state", false);
	HeapTuple	tup;
	Oid			owner;
	SxTrustedScope trusted;

	tup = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
	if (!HeapTupleIsValid(tup))
		elog(ERROR, "cache lookup failed for schema %u", schema);
	owner = ((Form_pg_namespace) GETSTRUCT(tup))->nspowner;
	ReleaseSysCache(tup);

	/* an error puts the user back with the (sub)transaction */
	sx_trusted_enter(owner, &trusted);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute(sql, false, 0) < 0)
		elog(ERROR, "SPI_execute failed: %s", sql);
	SPI_finish();
	sx_trusted_leave(&trusted);
}

/*
 * A table or domain of the journal goes with its stream: as one of what is
 * dropped along, so that it does no harm if that holds more, such as the type
 * of a column, or all of schema streamx_state.
 */
static void
depend_on_stream(Oid classid, Oid part, Oid stream)
{
	ObjectAddress part_address;
	ObjectAddress stream_address;

	ObjectAddressSet(part_address, classid, part);
	ObjectAddressSet(stream_address, RelationRelationId, stream);
	deleteDependencyRecordsForSpecific(classid, part, DEPENDENCY_AUTO,
									   RelationRelationId, stream);
	recordDependencyOn(&part_address, &stream_address, DEPENDENCY_AUTO);
}

bool
sx_journal_is_socket(Oid stream)
{
	ForeignServer *server = GetForeignServer(GetForeignTable(stream)->serverid);

	return server->servertype != NULL &&
		strcmp(server->servertype, "socket") == 0;
}

void
sx_journal_lock(Oid stream)
{
	LockDatabaseObject(journals_relid(), stream, 0, ExclusiveLock);
}

bool
sx_journal_try_lock(Oid stream)
{
	return ConditionalLockDatabaseObject(journals_relid(), stream, 0, ExclusiveLock);
}

int
sx_journal_era_now(const SxJournal *journal)
{
	return journal->era +
		(journal->system == (int64) GetSystemIdentifier() ? 0 : 1);
}

/* ---- the row ------------------------------------------------------------ */

SxJournal *
sx_journal_read(Oid stream, Snapshot snapshot)
{
	Relation	rel = table_open(journals_relid(), AccessShareLock);
	Oid			index = sx_primary_key_index(rel);
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tup;
	SxJournal  *result = NULL;

	/* without its primary key it is still being restored: no journal yet */
	if (!OidIsValid(index))
	{
		table_close(rel, AccessShareLock);
		return NULL;
	}
	ScanKeyInit(&key, ANUM_STREAM, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(stream));
	scan = systable_beginscan(rel, index, true, snapshot, 1, &key);
	tup = systable_getnext(scan);
	if (HeapTupleIsValid(tup))
	{
		Datum		values[NATTS_JOURNALS];
		bool		nulls[NATTS_JOURNALS];
		Datum	   *elems;
		bool	   *elemnulls;
		int			n;
		int			i;

		heap_deform_tuple(tup, RelationGetDescr(rel), values, nulls);
		result = palloc0(sizeof(SxJournal));
		result->stream = stream;
		result->tid = tup->t_self;
		result->id = DatumGetInt32(values[ANUM_ID - 1]);
		result->current = DatumGetInt32(values[ANUM_CURRENT - 1]) - 1;
		result->era = DatumGetInt32(values[ANUM_ERA - 1]);
		result->system = DatumGetInt64(values[ANUM_SYSTEM - 1]);
		result->next_position = DatumGetInt64(values[ANUM_NEXT_POSITION - 1]);

		deconstruct_array(DatumGetArrayTypeP(values[ANUM_SEGMENTS - 1]),
						  REGCLASSOID, sizeof(Oid), true, TYPALIGN_INT,
						  &elems, NULL, &n);
		result->nsegments = Min(n, SX_JOURNAL_MAX_SEGMENTS);
		for (i = 0; i < result->nsegments; i++)
			result->segments[i] = DatumGetObjectId(elems[i]);
		deconstruct_array(DatumGetArrayTypeP(values[ANUM_CLOSED - 1]),
						  TIMESTAMPTZOID, sizeof(int64), FLOAT8PASSBYVAL,
						  TYPALIGN_DOUBLE, &elems, NULL, &n);
		for (i = 0; i < Min(n, result->nsegments); i++)
			result->closed[i] = DatumGetTimestampTz(elems[i]);
		if (result->current < 0 || result->current >= result->nsegments)
			result->current = 0;

		deconstruct_array(DatumGetArrayTypeP(values[ANUM_COLUMNS - 1]),
						  TEXTOID, -1, false, TYPALIGN_INT,
						  &elems, &elemnulls, &n);
		result->ncolumns = n;
		result->columns = palloc0(sizeof(char *) * Max(n, 1));
		result->slots = palloc0(sizeof(int) * Max(n, 1));
		for (i = 0; i < n; i++)
		{
			if (!elemnulls[i])
				result->columns[i] = TextDatumGetCString(elems[i]);
		}
		deconstruct_array(DatumGetArrayTypeP(values[ANUM_SLOTS - 1]),
						  INT4OID, sizeof(int32), true, TYPALIGN_INT,
						  &elems, &elemnulls, &n);
		for (i = 0; i < Min(n, result->ncolumns); i++)
			result->slots[i] = elemnulls[i] ? 0 : DatumGetInt32(elems[i]);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

SxJournal *
sx_journal_read_latest(Oid stream)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	SxJournal  *result = sx_journal_read(stream, snapshot);

	UnregisterSnapshot(snapshot);
	return result;
}

/* Insert the row, or update it if it was read; the lock is held. */
void
sx_journal_save(SxJournal *journal)
{
	Relation	rel = table_open(journals_relid(), RowExclusiveLock);
	Datum		values[NATTS_JOURNALS];
	bool		nulls[NATTS_JOURNALS] = {false};
	Datum	   *elems;
	bool	   *elemnulls;
	int			n = Max(journal->nsegments, journal->ncolumns);
	int			dims;
	int			lbound = 1;
	HeapTuple	tup;
	int			i;

	elems = palloc(sizeof(Datum) * Max(n, 1));
	elemnulls = palloc0(sizeof(bool) * Max(n, 1));

	values[ANUM_STREAM - 1] = ObjectIdGetDatum(journal->stream);
	values[ANUM_ID - 1] = Int32GetDatum(journal->id);
	values[ANUM_CURRENT - 1] = Int32GetDatum(journal->current + 1);
	values[ANUM_ERA - 1] = Int32GetDatum(journal->era);
	values[ANUM_SYSTEM - 1] = Int64GetDatum(journal->system);
	values[ANUM_NEXT_POSITION - 1] = Int64GetDatum(journal->next_position);

	for (i = 0; i < journal->nsegments; i++)
		elems[i] = ObjectIdGetDatum(journal->segments[i]);
	values[ANUM_SEGMENTS - 1] =
		PointerGetDatum(construct_array(elems, journal->nsegments, REGCLASSOID,
										sizeof(Oid), true, TYPALIGN_INT));
	for (i = 0; i < journal->nsegments; i++)
		elems[i] = TimestampTzGetDatum(journal->closed[i]);
	values[ANUM_CLOSED - 1] =
		PointerGetDatum(construct_array(elems, journal->nsegments,
										TIMESTAMPTZOID, sizeof(int64),
										FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));

	dims = journal->ncolumns;
	for (i = 0; i < dims; i++)
	{
		elemnulls[i] = journal->columns[i] == NULL;
		elems[i] = elemnulls[i] ? (Datum) 0 :
			CStringGetTextDatum(journal->columns[i]);
	}
	values[ANUM_COLUMNS - 1] = dims == 0 ?
		PointerGetDatum(construct_empty_array(TEXTOID)) :
		PointerGetDatum(construct_md_array(elems, elemnulls, 1, &dims, &lbound,
										   TEXTOID, -1, false, TYPALIGN_INT));
	for (i = 0; i < dims; i++)
		elems[i] = Int32GetDatum(journal->slots[i]);
	values[ANUM_SLOTS - 1] = dims == 0 ?
		PointerGetDatum(construct_empty_array(INT4OID)) :
		PointerGetDatum(construct_md_array(elems, elemnulls, 1, &dims, &lbound,
										   INT4OID, sizeof(int32), true,
										   TYPALIGN_INT));

	tup = heap_form_tuple(RelationGetDescr(rel), values, nulls);
	if (ItemPointerIsValid(&journal->tid))
		CatalogTupleUpdate(rel, &journal->tid, tup);
	else
		CatalogTupleInsert(rel, tup);
	journal->tid = tup->t_self;
	table_close(rel, RowExclusiveLock);
	CacheInvalidateRelcacheByRelid(journal->stream);
	CommandCounterIncrement();
}

List *
sx_journal_list(void)
{
	Relation	rel = table_open(journals_relid(), AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, snapshot, 0, NULL);
	HeapTuple	tup;
	List	   *result = NIL;

	while (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		bool		isnull;

		result = lappend_oid(result,
							 DatumGetObjectId(heap_getattr(tup, ANUM_STREAM,
														   RelationGetDescr(rel),
														   &isnull)));
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
	return result;
}

/* ---- columns ------------------------------------------------------------ */

/* Name of a slot's column of the given version, which counts from 1. */
static char *
slot_column_name(int slot, int version)
{
	return version == 1 ? psprintf("c%d", slot) :
		psprintf("c%dv%d", slot, version);
}

/* Slot and version that a segment's column stands for; false: none. */
static bool
parse_slot_column(const char *name, int *slot, int *version)
{
	char	   *end;

	if (name[0] != 'c' || name[1] < '1' || name[1] > '9')
		return false;
	*slot = strtol(name + 1, &end, 10);
	*version = 1;
	if (*end == 'v')
		*version = strtol(end + 1, &end, 10);
	return *end == '\0';
}

int
sx_journal_slot_columns(TupleDesc segment, int slot, AttrNumber *attnos,
						int max)
{
	int			versions[8];
	int			n = 0;
	int			i;

	max = Min(max, lengthof(versions));
	for (i = SX_SEGMENT_FIXED; i < segment->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(segment, i);
		int			s;
		int			version;
		int			at;

		if (att->attisdropped ||
			!parse_slot_column(NameStr(att->attname), &s, &version) ||
			s != slot)
			continue;
		if (n == max && version < versions[n - 1])
			continue;
		if (n < max)
			n++;
		for (at = n - 1; at > 0 && versions[at - 1] < version; at--)
		{
			versions[at] = versions[at - 1];
			attnos[at] = attnos[at - 1];
		}
		versions[at] = version;
		attnos[at] = att->attnum;
	}
	return n;
}

bool
sx_journal_type_fits(Oid arraytype, Oid typid)
{
	Oid			elem = get_element_type(arraytype);

	if (elem == typid)
		return true;
	return OidIsValid(elem) && !OidIsValid(get_array_type(typid)) &&
		getBaseType(elem) == typid;
}

/* Highest slot that any segment has a column for. */
static int
highest_slot(const SxJournal *journal)
{
	int			highest = 0;
	int			i;
	int			a;

	for (i = 0; i < journal->ncolumns; i++)
		highest = Max(highest, journal->slots[i]);
	for (i = 0; i < journal->nsegments; i++)
	{
		Relation	rel = relation_open(journal->segments[i], AccessShareLock);
		TupleDesc	desc = RelationGetDescr(rel);

		for (a = 0; a < desc->natts; a++)
		{
			int			slot;
			int			version;

			if (parse_slot_column(NameStr(TupleDescAttr(desc, a)->attname),
								  &slot, &version))
				highest = Max(highest, slot);
		}
		relation_close(rel, AccessShareLock);
	}
	return highest;
}

/*
 * Type of the segment's column for values of a type, as SQL; makes the domain
 * where there is no array type.
 */
static char *
slot_column_type(const SxJournal *journal, int slot, int version, Oid typid)
{
	Oid			arraytype = get_array_type(typid);
	Oid			schema;
	char	   *name;

	if (OidIsValid(arraytype))
		return format_type_extended(arraytype, -1, FORMAT_TYPE_TYPEMOD_GIVEN |
									FORMAT_TYPE_FORCE_QUALIFY);

	/* the slot's first domain that is free or over this very type */
	schema = get_namespace_oid("streamx_state", false);
	for (;; version++)
	{
		Oid			domain;

		name = psprintf("j%d_%s", journal->id, slot_column_name(slot, version));
		domain = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
								 CStringGetDatum(name), ObjectIdGetDatum(schema));
		if (OidIsValid(domain) && getBaseType(domain) == typid)
			break;
		if (OidIsValid(domain))
			continue;
		sx_journal_run(psprintf("CREATE DOMAIN streamx_state.%s AS %s", name,
								format_type_extended(typid, -1,
													 FORMAT_TYPE_TYPEMOD_GIVEN |
													 FORMAT_TYPE_FORCE_QUALIFY)));
		CommandCounterIncrement();
		domain = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
								 CStringGetDatum(name), ObjectIdGetDatum(schema));
		depend_on_stream(TypeRelationId, domain, journal->stream);
		break;
	}
	return psprintf("streamx_state.%s[]", name);
}

/*
 * The column of a slot that takes values of a type, in one segment; 0: there
 * is none, *version is then the one to add.
 */
static AttrNumber
find_slot_column(TupleDesc segment, int slot, Oid typid, int *version)
{
	AttrNumber	attnos[8];
	int			n;
	int			s;

	*version = 1;
	n = sx_journal_slot_columns(segment, slot, attnos, lengthof(attnos));
	if (n > 0)
	{
		Form_pg_attribute att = TupleDescAttr(segment, attnos[0] - 1);

		/* only the newest: a later one may hold newer rows than this */
		if (sx_journal_type_fits(att->atttypid, typid))
			return attnos[0];
		parse_slot_column(NameStr(att->attname), &s, version);
		(*version)++;
	}
	return 0;
}

/* Give each segment a column for each of the stream's. */
static void
add_columns(SxJournal *journal, Relation stream)
{
	TupleDesc	desc = RelationGetDescr(stream);
	int			i;
	int			a;

	for (i = 0; i < journal->nsegments; i++)
	{
		Relation	rel = relation_open(journal->segments[i], AccessShareLock);
		TupleDesc	segment = RelationGetDescr(rel);
		StringInfoData sql;

		initStringInfo(&sql);
		for (a = 0; a < desc->natts; a++)
		{
			Form_pg_attribute att = TupleDescAttr(desc, a);
			int			version;

			if (att->attisdropped ||
				find_slot_column(segment, journal->slots[a], att->atttypid,
								 &version) != 0)
				continue;
			appendStringInfo(&sql, "%s ADD COLUMN %s %s",
							 sql.len == 0 ? "" : ",",
							 slot_column_name(journal->slots[a], version),
							 slot_column_type(journal, journal->slots[a],
											  version, att->atttypid));
		}
		relation_close(rel, AccessShareLock);
		if (sql.len > 0)
		{
			sx_journal_run(psprintf("ALTER TABLE streamx_state.%s%s",
									get_rel_name(journal->segments[i]), sql.data));
			CommandCounterIncrement();
		}
		pfree(sql.data);
	}
}

/* Take those columns out of the segments that no column of the stream has. */
static void
drop_columns(SxJournal *journal)
{
	int			i;
	int			a;
	int			c;

	for (i = 0; i < journal->nsegments; i++)
	{
		Relation	rel = relation_open(journal->segments[i], AccessShareLock);
		TupleDesc	desc = RelationGetDescr(rel);
		StringInfoData sql;

		initStringInfo(&sql);
		for (a = SX_SEGMENT_FIXED; a < desc->natts; a++)
		{
			Form_pg_attribute att = TupleDescAttr(desc, a);
			int			slot;
			int			version;
			bool		used = false;

			if (att->attisdropped ||
				!parse_slot_column(NameStr(att->attname), &slot, &version))
				continue;
			for (c = 0; c < journal->ncolumns && !used; c++)
				used = journal->columns[c] != NULL && journal->slots[c] == slot;
			if (!used)
				appendStringInfo(&sql, "%s DROP COLUMN %s",
								 sql.len == 0 ? "" : ",", NameStr(att->attname));
		}
		relation_close(rel, AccessShareLock);
		if (sql.len > 0)
		{
			sx_journal_run(psprintf("ALTER TABLE streamx_state.%s%s",
									get_rel_name(journal->segments[i]), sql.data));
			CommandCounterIncrement();
		}
		pfree(sql.data);
	}
}

/*
 * Drop the domains of slots that are in use no more; all: every one of the
 * journal's.
 */
static void
drop_domains(const SxJournal *journal, bool all)
{
	char	   *prefix = psprintf("j%d_", journal->id);
	StringInfoData sql;
	uint64		i;
	int			c;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	initStringInfo(&sql);
	if (SPI_execute(psprintf("SELECT typname FROM pg_catalog.pg_type"
							 " WHERE typnamespace OPERATOR(pg_catalog.=) %u AND typtype OPERATOR(pg_catalog.=) 'd'"
							 " AND pg_catalog.starts_with(typname::pg_catalog.text, '%sc')",
							 get_namespace_oid("streamx_state", false), prefix),
					false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read pg_type");
	for (i = 0; i < SPI_processed; i++)
	{
		char	   *name = SPI_getvalue(SPI_tuptable->vals[i],
										SPI_tuptable->tupdesc, 1);
		int			slot;
		int			version;
		bool		used = false;

		if (!parse_slot_column(name + strlen(prefix), &slot, &version))
			continue;
		for (c = 0; c < journal->ncolumns && !all && !used; c++)
			used = journal->columns[c] != NULL && journal->slots[c] == slot;
		if (!used)
			appendStringInfo(&sql, "%sstreamx_state.%s",
							 sql.len == 0 ? "DROP DOMAIN " : ", ", name);
	}
	if (sql.len > 0)
		sx_journal_run(sql.data);
	SPI_finish();
}

/* Do era, names and types of the row agree with the stream? */
static bool
columns_agree(const SxJournal *journal, Relation stream)
{
	TupleDesc	desc = RelationGetDescr(stream);
	Relation	rel;
	bool		agree = true;
	int			a;

	if (journal->system != (int64) GetSystemIdentifier() ||
		journal->ncolumns != desc->natts)
		return false;
	rel = relation_open(journal->segments[journal->current], AccessShareLock);
	for (a = 0; a < desc->natts && agree; a++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, a);
		const char *name = journal->columns[a];
		int			version;

		if (att->attisdropped || name == NULL)
			agree = att->attisdropped && name == NULL;
		else
			agree = strcmp(NameStr(att->attname), name) == 0 &&
				find_slot_column(RelationGetDescr(rel), journal->slots[a],
								 att->atttypid, &version) != 0;
	}
	relation_close(rel, AccessShareLock);
	return agree;
}

/*
 * Bring the row in line with the stream, and the segments with the row.  In
 * the same cluster a column is known by its number; in another one by its
 * name, because a dump numbers columns anew.
 */
static void
follow_columns(SxJournal *journal, Relation stream)
{
	TupleDesc	desc = RelationGetDescr(stream);
	bool		moved = journal->system != (int64) GetSystemIdentifier();
	char	  **columns = palloc0(sizeof(char *) * Max(desc->natts, 1));
	int		   *slots = palloc0(sizeof(int) * Max(desc->natts, 1));
	int			highest = highest_slot(journal);
	int			a;
	int			c;

	for (a = 0; a < desc->natts; a++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, a);

		if (att->attisdropped)
			continue;
		columns[a] = pstrdup(NameStr(att->attname));
		if (!moved)
		{
			if (a < journal->ncolumns && journal->columns[a] != NULL)
				slots[a] = journal->slots[a];
		}
		else
		{
			for (c = 0; c < journal->ncolumns; c++)
			{
				if (journal->columns[c] != NULL &&
					strcmp(journal->columns[c], columns[a]) == 0)
					slots[a] = journal->slots[c];
			}
		}
		if (slots[a] == 0)
			slots[a] = ++highest;
	}
	journal->columns = columns;
	journal->slots = slots;
	journal->ncolumns = desc->natts;
	journal->era = sx_journal_era_now(journal);
	journal->system = (int64) GetSystemIdentifier();
	add_columns(journal, stream);
	sx_journal_save(journal);
}

/* ---- making ------------------------------------------------------------- */

/* Make segment number n (from 0), which is the next one. */
void
sx_journal_make_segment(SxJournal *journal, Relation stream, bool socket)
{
	TupleDesc	desc = RelationGetDescr(stream);
	char	   *name = psprintf("j%d_%d", journal->id, journal->nsegments + 1);
	StringInfoData sql;
	int			a;

	Assert(journal->nsegments < SX_JOURNAL_MAX_SEGMENTS);
	initStringInfo(&sql);
	if (socket)
		appendStringInfo(&sql,
						 "CREATE TABLE streamx_state.%s (position pg_catalog.int8 NOT NULL, rows pg_catalog.int4 NOT NULL,"
						 " arrived pg_catalog.timestamptz NOT NULL, lines pg_catalog.bytea[] NOT NULL",
						 name);
	else
	{
		appendStringInfo(&sql,
						 "CREATE TABLE streamx_state.%s (era pg_catalog.int4 NOT NULL, xid pg_catalog.int8 NOT NULL,"
						 " seq pg_catalog.int8 NOT NULL, rows pg_catalog.int4 NOT NULL, arrived pg_catalog.timestamptz NOT NULL",
						 name);
		for (a = 0; a < desc->natts; a++)
		{
			if (!TupleDescAttr(desc, a)->attisdropped)
				appendStringInfo(&sql, ", c%d %s", journal->slots[a],
								 slot_column_type(journal, journal->slots[a], 1,
												  TupleDescAttr(desc, a)->atttypid));
		}
	}

	/*
	 * Nothing is ever deleted, and what is emptied is young again; when the
	 * age of a segment that is not emptied comes near a wraparound,
	 * autovacuum freezes it all the same.
	 */
	appendStringInfoString(&sql,
						   ") USING heap WITH (autovacuum_enabled = false, toast.autovacuum_enabled = false, toast_tuple_target = 8160)");
	sx_journal_run(sql.data);
	sx_journal_run(psprintf("CREATE INDEX %s_key ON streamx_state.%s USING btree (%s)",
							name, name,
							socket ? "position" : "era, xid, seq"));
	CommandCounterIncrement();
	journal->segments[journal->nsegments] =
		get_relname_relid(name, get_namespace_oid("streamx_state", false));
	depend_on_stream(RelationRelationId, journal->segments[journal->nsegments],
					 journal->stream);
	journal->closed[journal->nsegments] = GetCurrentTimestamp();
	journal->nsegments++;
}

/* The lock is held and there is none yet. */
static SxJournal *
make_journal(Relation stream)
{
	SxJournal  *journal = palloc0(sizeof(SxJournal));
	bool		socket = sx_journal_is_socket(RelationGetRelid(stream));
	TupleDesc	desc = RelationGetDescr(stream);
	int			a;

	journal->stream = RelationGetRelid(stream);
	journal->id = sx_view_next_id();
	journal->era = 1;
	journal->system = (int64) GetSystemIdentifier();
	ItemPointerSetInvalid(&journal->tid);
	if (!socket)
	{
		journal->ncolumns = desc->natts;
		journal->columns = palloc0(sizeof(char *) * Max(desc->natts, 1));
		journal->slots = palloc0(sizeof(int) * Max(desc->natts, 1));
		for (a = 0; a < desc->natts; a++)
		{
			if (TupleDescAttr(desc, a)->attisdropped)
				continue;
			journal->columns[a] = pstrdup(NameStr(TupleDescAttr(desc, a)->attname));
			journal->slots[a] = a + 1;
		}
	}
	while (journal->nsegments < FIRST_SEGMENTS)
		sx_journal_make_segment(journal, stream, socket);
	sx_journal_save(journal);
	return journal;
}

SxJournal *
sx_journal_prepare(Relation stream)
{
	SxJournal  *journal;
	int			i;

	sx_extension_check();
	journal = sx_journal_read_latest(RelationGetRelid(stream));
	if (journal != NULL && (journal->ncolumns == 0 ?
							RelationGetDescr(stream)->natts == 0 ||
							sx_journal_is_socket(RelationGetRelid(stream)) :
							columns_agree(journal, stream)))
	{
		if (journal->system == (int64) GetSystemIdentifier())
			return journal;
	}

	sx_journal_lock(RelationGetRelid(stream));
	journal = sx_journal_read_latest(RelationGetRelid(stream));
	if (journal == NULL)
		return make_journal(stream);
	if (journal->system != (int64) GetSystemIdentifier())
	{
		/* a dump does not carry it */
		for (i = 0; i < journal->nsegments; i++)
			depend_on_stream(RelationRelationId, journal->segments[i],
							 journal->stream);
	}
	if (sx_journal_is_socket(RelationGetRelid(stream)))
	{
		journal->era = sx_journal_era_now(journal);
		journal->system = (int64) GetSystemIdentifier();
		sx_journal_save(journal);
	}
	else if (!columns_agree(journal, stream))
		follow_columns(journal, stream);
	return journal;
}

void
sx_journal_create(Oid stream)
{
	Relation	rel = relation_open(stream, AccessShareLock);

	(void) sx_journal_prepare(rel);
	relation_close(rel, NoLock);
}

void
sx_journal_arrive(Oid stream)
{
	SxJournal  *journal = sx_journal_read_latest(stream);
	Relation	rel;

	if (journal == NULL || sx_journal_era_now(journal) == journal->era)
		return;
	rel = relation_open(stream, AccessShareLock);
	(void) sx_journal_prepare(rel);
	relation_close(rel, NoLock);
}

void
sx_journal_sync(Oid stream)
{
	SxJournal  *journal = sx_journal_read_latest(stream);
	Relation	rel;

	if (journal == NULL || sx_journal_is_socket(stream))
		return;
	rel = relation_open(stream, AccessShareLock);
	journal = sx_journal_prepare(rel);
	sx_journal_lock(stream);
	drop_columns(journal);
	drop_domains(journal, false);
	relation_close(rel, NoLock);
}

void
sx_journal_drop(Oid stream)
{
	SxJournal  *journal;
	Relation	rel;
	int			i;

	sx_journal_lock(stream);
	journal = sx_journal_read_latest(stream);
	if (journal == NULL)
		return;
	for (i = 0; i < journal->nsegments; i++)
	{
		char	   *name = get_rel_name(journal->segments[i]);

		if (name != NULL)
			sx_journal_run(psprintf("DROP TABLE streamx_state.%s", name));
	}
	drop_domains(journal, true);
	rel = table_open(journals_relid(), RowExclusiveLock);
	CatalogTupleDelete(rel, &journal->tid);
	table_close(rel, RowExclusiveLock);
	CommandCounterIncrement();
}

bool
sx_journal_open_segment(Oid segment, LOCKMODE lockmode, Relation *rel,
						Relation *index)
{
	Oid			indexid;

	*rel = try_relation_open(segment, lockmode);
	if (*rel == NULL)
		return false;
	indexid = sx_index_first_valid(*rel);
	if (!OidIsValid(indexid))
	{
		relation_close(*rel, NoLock);
		return false;
	}
	*index = index_open(indexid, lockmode);
	return true;
}

int64
sx_journal_first_offset(Oid stream)
{
	SxJournal  *journal = sx_journal_read_latest(stream);

	return journal == NULL ? 0 : journal->next_position;
}
