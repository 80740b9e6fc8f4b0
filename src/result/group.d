src/result/group.o: src/result/group.c \
 /opt/pg-lead/include/postgresql/15/server/postgres.h \
 /opt/pg-lead/include/postgresql/15/server/c.h \
 /opt/pg-lead/include/postgresql/15/server/postgres_ext.h \
 /opt/pg-lead/include/postgresql/15/server/pg_config_ext.h \
 /opt/pg-lead/include/postgresql/15/server/pg_config.h \
 /opt/pg-lead/include/postgresql/15/server/pg_config_manual.h \
 /opt/pg-lead/include/postgresql/15/server/pg_config_os.h \
 /opt/pg-lead/include/postgresql/15/server/port.h \
 /opt/pg-lead/include/postgresql/15/server/utils/elog.h \
 /opt/pg-lead/include/postgresql/15/server/utils/errcodes.h \
 /opt/pg-lead/include/postgresql/15/server/utils/palloc.h \
 /opt/pg-lead/include/postgresql/15/server/common/hashfn.h \
 /opt/pg-lead/include/postgresql/15/server/utils/datum.h \
 /opt/pg-lead/include/postgresql/15/server/utils/fmgroids.h \
 /opt/pg-lead/include/postgresql/15/server/utils/lsyscache.h \
 /opt/pg-lead/include/postgresql/15/server/access/attnum.h \
 /opt/pg-lead/include/postgresql/15/server/access/htup.h \
 /opt/pg-lead/include/postgresql/15/server/storage/itemptr.h \
 /opt/pg-lead/include/postgresql/15/server/storage/block.h \
 /opt/pg-lead/include/postgresql/15/server/storage/off.h \
 /opt/pg-lead/include/postgresql/15/server/storage/itemid.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/pg_list.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/nodes.h \
 /opt/pg-lead/include/postgresql/15/server/utils/memutils.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/memnodes.h \
 /opt/pg-lead/include/postgresql/15/server/utils/pg_locale.h \
 /opt/pg-lead/include/postgresql/15/server/utils/guc.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/parsenodes.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/bitmapset.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/lockoptions.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/primnodes.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/value.h \
 /opt/pg-lead/include/postgresql/15/server/partitioning/partdefs.h \
 /opt/pg-lead/include/postgresql/15/server/tcop/dest.h \
 /opt/pg-lead/include/postgresql/15/server/executor/tuptable.h \
 /opt/pg-lead/include/postgresql/15/server/access/htup_details.h \
 /opt/pg-lead/include/postgresql/15/server/access/transam.h \
 /opt/pg-lead/include/postgresql/15/server/access/xlogdefs.h \
 /opt/pg-lead/include/postgresql/15/server/access/tupdesc.h \
 /opt/pg-lead/include/postgresql/15/server/catalog/pg_attribute.h \
 /opt/pg-lead/include/postgresql/15/server/catalog/genbki.h \
 /opt/pg-lead/include/postgresql/15/server/catalog/pg_attribute_d.h \
 /opt/pg-lead/include/postgresql/15/server/access/tupmacs.h \
 /opt/pg-lead/include/postgresql/15/server/catalog/pg_type_d.h \
 /opt/pg-lead/include/postgresql/15/server/common/int.h \
 /opt/pg-lead/include/postgresql/15/server/storage/bufpage.h \
 /opt/pg-lead/include/postgresql/15/server/storage/item.h \
 /opt/pg-lead/include/postgresql/15/server/access/sysattr.h \
 /opt/pg-lead/include/postgresql/15/server/storage/buf.h \
 /opt/pg-lead/include/postgresql/15/server/tcop/cmdtag.h \
 /opt/pg-lead/include/postgresql/15/server/tcop/cmdtaglist.h \
 /opt/pg-lead/include/postgresql/15/server/utils/array.h \
 /opt/pg-lead/include/postgresql/15/server/fmgr.h \
 /opt/pg-lead/include/postgresql/15/server/utils/expandeddatum.h \
 /opt/pg-lead/include/postgresql/15/server/utils/typcache.h \
 /opt/pg-lead/include/postgresql/15/server/storage/dsm.h \
 /opt/pg-lead/include/postgresql/15/server/storage/dsm_impl.h \
 /opt/pg-lead/include/postgresql/15/server/utils/dsa.h \
 /opt/pg-lead/include/postgresql/15/server/port/atomics.h \
 /opt/pg-lead/include/postgresql/15/server/port/atomics/arch-x86.h \
 /opt/pg-lead/include/postgresql/15/server/port/atomics/generic-gcc.h \
 /opt/pg-lead/include/postgresql/15/server/port/atomics/fallback.h \
 /opt/pg-lead/include/postgresql/15/server/port/atomics/generic.h \
 src/compat.h \
 /opt/pg-lead/include/postgresql/15/server/executor/executor.h \
 /opt/pg-lead/include/postgresql/15/server/executor/execdesc.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/execnodes.h \
 /opt/pg-lead/include/postgresql/15/server/access/tupconvert.h \
 /opt/pg-lead/include/postgresql/15/server/access/attmap.h \
 /opt/pg-lead/include/postgresql/15/server/executor/instrument.h \
 /opt/pg-lead/include/postgresql/15/server/portability/instr_time.h \
 /opt/pg-lead/include/postgresql/15/server/lib/ilist.h \
 /opt/pg-lead/include/postgresql/15/server/lib/pairingheap.h \
 /opt/pg-lead/include/postgresql/15/server/lib/stringinfo.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/params.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/plannodes.h \
 /opt/pg-lead/include/postgresql/15/server/access/sdir.h \
 /opt/pg-lead/include/postgresql/15/server/access/stratnum.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/tidbitmap.h \
 /opt/pg-lead/include/postgresql/15/server/storage/condition_variable.h \
 /opt/pg-lead/include/postgresql/15/server/storage/proclist_types.h \
 /opt/pg-lead/include/postgresql/15/server/storage/spin.h \
 /opt/pg-lead/include/postgresql/15/server/storage/s_lock.h \
 /opt/pg-lead/include/postgresql/15/server/utils/hsearch.h \
 /opt/pg-lead/include/postgresql/15/server/utils/queryenvironment.h \
 /opt/pg-lead/include/postgresql/15/server/utils/reltrigger.h \
 /opt/pg-lead/include/postgresql/15/server/utils/sharedtuplestore.h \
 /opt/pg-lead/include/postgresql/15/server/storage/fd.h \
 /opt/pg-lead/include/postgresql/15/server/storage/sharedfileset.h \
 /opt/pg-lead/include/postgresql/15/server/storage/fileset.h \
 /opt/pg-lead/include/postgresql/15/server/utils/snapshot.h \
 /opt/pg-lead/include/postgresql/15/server/datatype/timestamp.h \
 /opt/pg-lead/include/postgresql/15/server/utils/sortsupport.h \
 /opt/pg-lead/include/postgresql/15/server/utils/relcache.h \
 /opt/pg-lead/include/postgresql/15/server/utils/tuplesort.h \
 /opt/pg-lead/include/postgresql/15/server/access/itup.h \
 /opt/pg-lead/include/postgresql/15/server/utils/tuplestore.h \
 /opt/pg-lead/include/postgresql/15/server/lib/simplehash.h \
 /opt/pg-lead/include/postgresql/15/server/port/pg_bitutils.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/makefuncs.h \
 /opt/pg-lead/include/postgresql/15/server/utils/rel.h \
 /opt/pg-lead/include/postgresql/15/server/access/xlog.h \
 /opt/pg-lead/include/postgresql/15/server/access/xlogreader.h \
 /opt/pg-lead/include/postgresql/15/server/access/xlogrecord.h \
 /opt/pg-lead/include/postgresql/15/server/access/rmgr.h \
 /opt/pg-lead/include/postgresql/15/server/access/rmgrlist.h \
 /opt/pg-lead/include/postgresql/15/server/port/pg_crc32c.h \
 /opt/pg-lead/include/postgresql/15/server/port/pg_bswap.h \
 /opt/pg-lead/include/postgresql/15/server/storage/relfilenode.h \
 /opt/pg-lead/include/postgresql/15/server/common/relpath.h \
 /opt/pg-lead/include/postgresql/15/server/catalog/catversion.h \
 /opt/pg-lead/include/postgresql/15/server/storage/backendid.h \
 /opt/pg-lead/include/postgresql/15/server/catalog/pg_class.h \
 /opt/pg-lead/include/postgresql/15/server/catalog/pg_class_d.h \
 /opt/pg-lead/include/postgresql/15/server/catalog/pg_index.h \
 /opt/pg-lead/include/postgresql/15/server/catalog/pg_index_d.h \
 /opt/pg-lead/include/postgresql/15/server/catalog/pg_publication.h \
 /opt/pg-lead/include/postgresql/15/server/catalog/objectaddress.h \
 /opt/pg-lead/include/postgresql/15/server/storage/lockdefs.h \
 /opt/pg-lead/include/postgresql/15/server/catalog/pg_publication_d.h \
 /opt/pg-lead/include/postgresql/15/server/rewrite/prs2lock.h \
 /opt/pg-lead/include/postgresql/15/server/storage/smgr.h \
 /opt/pg-lead/include/postgresql/15/server/commands/explain.h \
 /opt/pg-lead/include/postgresql/15/server/parser/parse_node.h \
 /opt/pg-lead/include/postgresql/15/server/storage/latch.h \
 /opt/pg-lead/include/postgresql/15/server/catalog/pg_database.h \
 /opt/pg-lead/include/postgresql/15/server/catalog/pg_database_d.h \
 /opt/pg-lead/include/postgresql/15/server/catalog/pg_extension.h \
 /opt/pg-lead/include/postgresql/15/server/catalog/pg_extension_d.h \
 /opt/pg-lead/include/postgresql/15/server/catalog/pg_namespace.h \
 /opt/pg-lead/include/postgresql/15/server/catalog/pg_namespace_d.h \
 /opt/pg-lead/include/postgresql/15/server/utils/acl.h src/result/group.h \
 src/plan/plan.h src/window/window.h
/opt/pg-lead/include/postgresql/15/server/postgres.h:
/opt/pg-lead/include/postgresql/15/server/c.h:
/opt/pg-lead/include/postgresql/15/server/postgres_ext.h:
/opt/pg-lead/include/postgresql/15/server/pg_config_ext.h:
/opt/pg-lead/include/postgresql/15/server/pg_config.h:
/opt/pg-lead/include/postgresql/15/server/pg_config_manual.h:
/opt/pg-lead/include/postgresql/15/server/pg_config_os.h:
/opt/pg-lead/include/postgresql/15/server/port.h:
/opt/pg-lead/include/postgresql/15/server/utils/elog.h:
/opt/pg-lead/include/postgresql/15/server/utils/errcodes.h:
/opt/pg-lead/include/postgresql/15/server/utils/palloc.h:
/opt/pg-lead/include/postgresql/15/server/common/hashfn.h:
/opt/pg-lead/include/postgresql/15/server/utils/datum.h:
/opt/pg-lead/include/postgresql/15/server/utils/fmgroids.h:
/opt/pg-lead/include/postgresql/15/server/utils/lsyscache.h:
/opt/pg-lead/include/postgresql/15/server/access/attnum.h:
/opt/pg-lead/include/postgresql/15/server/access/htup.h:
/opt/pg-lead/include/postgresql/15/server/storage/itemptr.h:
/opt/pg-lead/include/postgresql/15/server/storage/block.h:
/opt/pg-lead/include/postgresql/15/server/storage/off.h:
/opt/pg-lead/include/postgresql/15/server/storage/itemid.h:
/opt/pg-lead/include/postgresql/15/server/nodes/pg_list.h:
/opt/pg-lead/include/postgresql/15/server/nodes/nodes.h:
/opt/pg-lead/include/postgresql/15/server/utils/memutils.h:
/opt/pg-lead/include/postgresql/15/server/nodes/memnodes.h:
/opt/pg-lead/include/postgresql/15/server/utils/pg_locale.h:
/opt/pg-lead/include/postgresql/15/server/utils/guc.h:
/opt/pg-lead/include/postgresql/15/server/nodes/parsenodes.h:
/opt/pg-lead/include/postgresql/15/server/nodes/bitmapset.h:
/opt/pg-lead/include/postgresql/15/server/nodes/lockoptions.h:
/opt/pg-lead/include/postgresql/15/server/nodes/primnodes.h:
/opt/pg-lead/include/postgresql/15/server/nodes/value.h:
/opt/pg-lead/include/postgresql/15/server/partitioning/partdefs.h:
/opt/pg-lead/include/postgresql/15/server/tcop/dest.h:
/opt/pg-lead/include/postgresql/15/server/executor/tuptable.h:
/opt/pg-lead/include/postgresql/15/server/access/htup_details.h:
/opt/pg-lead/include/postgresql/15/server/access/transam.h:
/opt/pg-lead/include/postgresql/15/server/access/xlogdefs.h:
/opt/pg-lead/include/postgresql/15/server/access/tupdesc.h:
/opt/pg-lead/include/postgresql/15/server/catalog/pg_attribute.h:
/opt/pg-lead/include/postgresql/15/server/catalog/genbki.h:
/opt/pg-lead/include/postgresql/15/server/catalog/pg_attribute_d.h:
/opt/pg-lead/include/postgresql/15/server/access/tupmacs.h:
/opt/pg-lead/include/postgresql/15/server/catalog/pg_type_d.h:
/opt/pg-lead/include/postgresql/15/server/common/int.h:
/opt/pg-lead/include/postgresql/15/server/storage/bufpage.h:
/opt/pg-lead/include/postgresql/15/server/storage/item.h:
/opt/pg-lead/include/postgresql/15/server/access/sysattr.h:
/opt/pg-lead/include/postgresql/15/server/storage/buf.h:
/opt/pg-lead/include/postgresql/15/server/tcop/cmdtag.h:
/opt/pg-lead/include/postgresql/15/server/tcop/cmdtaglist.h:
/opt/pg-lead/include/postgresql/15/server/utils/array.h:
/opt/pg-lead/include/postgresql/15/server/fmgr.h:
/opt/pg-lead/include/postgresql/15/server/utils/expandeddatum.h:
/opt/pg-lead/include/postgresql/15/server/utils/typcache.h:
/opt/pg-lead/include/postgresql/15/server/storage/dsm.h:
/opt/pg-lead/include/postgresql/15/server/storage/dsm_impl.h:
/opt/pg-lead/include/postgresql/15/server/utils/dsa.h:
/opt/pg-lead/include/postgresql/15/server/port/atomics.h:
/opt/pg-lead/include/postgresql/15/server/port/atomics/arch-x86.h:
/opt/pg-lead/include/postgresql/15/server/port/atomics/generic-gcc.h:
/opt/pg-lead/include/postgresql/15/server/port/atomics/fallback.h:
/opt/pg-lead/include/postgresql/15/server/port/atomics/generic.h:
src/compat.h:
/opt/pg-lead/include/postgresql/15/server/executor/executor.h:
/opt/pg-lead/include/postgresql/15/server/executor/execdesc.h:
/opt/pg-lead/include/postgresql/15/server/nodes/execnodes.h:
/opt/pg-lead/include/postgresql/15/server/access/tupconvert.h:
/opt/pg-lead/include/postgresql/15/server/access/attmap.h:
/opt/pg-lead/include/postgresql/15/server/executor/instrument.h:
/opt/pg-lead/include/postgresql/15/server/portability/instr_time.h:
/opt/pg-lead/include/postgresql/15/server/lib/ilist.h:
/opt/pg-lead/include/postgresql/15/server/lib/pairingheap.h:
/opt/pg-lead/include/postgresql/15/server/lib/stringinfo.h:
/opt/pg-lead/include/postgresql/15/server/nodes/params.h:
/opt/pg-lead/include/postgresql/15/server/nodes/plannodes.h:
/opt/pg-lead/include/postgresql/15/server/access/sdir.h:
/opt/pg-lead/include/postgresql/15/server/access/stratnum.h:
/opt/pg-lead/include/postgresql/15/server/nodes/tidbitmap.h:
/opt/pg-lead/include/postgresql/15/server/storage/condition_variable.h:
/opt/pg-lead/include/postgresql/15/server/storage/proclist_types.h:
/opt/pg-lead/include/postgresql/15/server/storage/spin.h:
/opt/pg-lead/include/postgresql/15/server/storage/s_lock.h:
/opt/pg-lead/include/postgresql/15/server/utils/hsearch.h:
/opt/pg-lead/include/postgresql/15/server/utils/queryenvironment.h:
/opt/pg-lead/include/postgresql/15/server/utils/reltrigger.h:
/opt/pg-lead/include/postgresql/15/server/utils/sharedtuplestore.h:
/opt/pg-lead/include/postgresql/15/server/storage/fd.h:
/opt/pg-lead/include/postgresql/15/server/storage/sharedfileset.h:
/opt/pg-lead/include/postgresql/15/server/storage/fileset.h:
/opt/pg-lead/include/postgresql/15/server/utils/snapshot.h:
/opt/pg-lead/include/postgresql/15/server/datatype/timestamp.h:
/opt/pg-lead/include/postgresql/15/server/utils/sortsupport.h:
/opt/pg-lead/include/postgresql/15/server/utils/relcache.h:
/opt/pg-lead/include/postgresql/15/server/utils/tuplesort.h:
/opt/pg-lead/include/postgresql/15/server/access/itup.h:
/opt/pg-lead/include/postgresql/15/server/utils/tuplestore.h:
/opt/pg-lead/include/postgresql/15/server/lib/simplehash.h:
/opt/pg-lead/include/postgresql/15/server/port/pg_bitutils.h:
/opt/pg-lead/include/postgresql/15/server/nodes/makefuncs.h:
/opt/pg-lead/include/postgresql/15/server/utils/rel.h:
/opt/pg-lead/include/postgresql/15/server/access/xlog.h:
/opt/pg-lead/include/postgresql/15/server/access/xlogreader.h:
/opt/pg-lead/include/postgresql/15/server/access/xlogrecord.h:
/opt/pg-lead/include/postgresql/15/server/access/rmgr.h:
/opt/pg-lead/include/postgresql/15/server/access/rmgrlist.h:
/opt/pg-lead/include/postgresql/15/server/port/pg_crc32c.h:
/opt/pg-lead/include/postgresql/15/server/port/pg_bswap.h:
/opt/pg-lead/include/postgresql/15/server/storage/relfilenode.h:
/opt/pg-lead/include/postgresql/15/server/common/relpath.h:
/opt/pg-lead/include/postgresql/15/server/catalog/catversion.h:
/opt/pg-lead/include/postgresql/15/server/storage/backendid.h:
/opt/pg-lead/include/postgresql/15/server/catalog/pg_class.h:
/opt/pg-lead/include/postgresql/15/server/catalog/pg_class_d.h:
/opt/pg-lead/include/postgresql/15/server/catalog/pg_index.h:
/opt/pg-lead/include/postgresql/15/server/catalog/pg_index_d.h:
/opt/pg-lead/include/postgresql/15/server/catalog/pg_publication.h:
/opt/pg-lead/include/postgresql/15/server/catalog/objectaddress.h:
/opt/pg-lead/include/postgresql/15/server/storage/lockdefs.h:
/opt/pg-lead/include/postgresql/15/server/catalog/pg_publication_d.h:
/opt/pg-lead/include/postgresql/15/server/rewrite/prs2lock.h:
/opt/pg-lead/include/postgresql/15/server/storage/smgr.h:
/opt/pg-lead/include/postgresql/15/server/commands/explain.h:
/opt/pg-lead/include/postgresql/15/server/parser/parse_node.h:
/opt/pg-lead/include/postgresql/15/server/storage/latch.h:
/opt/pg-lead/include/postgresql/15/server/catalog/pg_database.h:
/opt/pg-lead/include/postgresql/15/server/catalog/pg_database_d.h:
/opt/pg-lead/include/postgresql/15/server/catalog/pg_extension.h:
/opt/pg-lead/include/postgresql/15/server/catalog/pg_extension_d.h:
/opt/pg-lead/include/postgresql/15/server/catalog/pg_namespace.h:
/opt/pg-lead/include/postgresql/15/server/catalog/pg_namespace_d.h:
/opt/pg-lead/include/postgresql/15/server/utils/acl.h:
src/result/group.h:
src/plan/plan.h:
src/window/window.h:
