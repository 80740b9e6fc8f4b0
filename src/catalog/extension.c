/*-------------------------------------------------------------------------
 * extension.c
 *		Does the extension's SQL in this database go with the library?
 *
 * New files of a release are there before the server that runs the old
 * library is restarted, and after that before somebody says ALTER EXTENSION
 * ... UPDATE; packages may also be taken back.  base/version.h says what goes
 * together.  With anything else the tables may not be as the library thinks:
 * they are left alone.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_extension.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/version.h"
#include "catalog/extension.h"

static bool fits = false;		/* false: not known */

/* As strcmp, part by part: 1.9 is before 1.10. */
static int
compare(const char *a, const char *b)
{
	while (*a || *b)
	{
		long		x = strtol(a, (char **) &a, 10);
		long		y = strtol(b, (char **) &b, 10);

		if (x != y)
			return x < y ? -1 : 1;
		if (*a != '.' && *b != '.')
			return strcmp(a, b);
		a += *a == '.';
		b += *b == '.';
	}
	return 0;
}

/* The version in pg_extension; NULL: there is none. */
static char *
installed_version(void)
{
	Relation	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	char	   *version = NULL;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("streamx"));
	scan = systable_beginscan(rel, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		value = heap_getattr(tuple, Anum_pg_extension_extversion,
										 RelationGetDescr(rel), &isnull);

		if (!isnull)
			version = TextDatumGetCString(value);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return version;
}

bool
sx_extension_fits(char **installed)
{
	char	   *version;

	if (fits)
		return true;
	version = installed_version();
	if (version == NULL)
		return true;
	if (compare(version, SX_VERSION) <= 0 && compare(version, SX_VERSION_OLDEST) >= 0)
		fits = true;
	else if (installed)
		*installed = version;
	return fits;
}

const char *
sx_extension_cure(const char *installed)
{
	return compare(installed, SX_VERSION) > 0 ?
		"Install the newer release of streamx, and restart the server so that it loads that library." :
		"Run ALTER EXTENSION streamx UPDATE in that database.";
}

void
sx_extension_check(void)
{
	char	   *installed;

	if (sx_extension_fits(&installed))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("extension \"streamx\" has version %s, which does not go with the library",
					installed),
			 errdetail("The library that the server has loaded goes with versions %s to %s.",
					   SX_VERSION_OLDEST, SX_VERSION),
			 errhint("%s", sx_extension_cure(installed))));
}

void
sx_extension_forget(void)
{
	fits = false;
}

void
sx_extension_changed(void)
{
	Oid			schema = get_namespace_oid("streamx", true);
	Oid			table = OidIsValid(schema) ?
	get_relname_relid("continuous_views", schema) : InvalidOid;

	/* its entry in pg_extension is in no cache: this table's is */
	sx_extension_forget();
	if (OidIsValid(table))
		CacheInvalidateRelcacheByRelid(table);
}
