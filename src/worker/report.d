src/worker/report.o: src/worker/report.c \
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
 /opt/pg-lead/include/postgresql/15/server/utils/timestamp.h \
 /opt/pg-lead/include/postgresql/15/server/datatype/timestamp.h \
 /opt/pg-lead/include/postgresql/15/server/fmgr.h \
 /opt/pg-lead/include/postgresql/15/server/pgtime.h src/stats/stats.h \
 /opt/pg-lead/include/postgresql/15/server/storage/condition_variable.h \
 /opt/pg-lead/include/postgresql/15/server/storage/proclist_types.h \
 /opt/pg-lead/include/postgresql/15/server/storage/spin.h \
 /opt/pg-lead/include/postgresql/15/server/storage/s_lock.h \
 src/source/source.h src/base/batch.h src/catalog/stream.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/pg_list.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/nodes.h \
 src/worker/task.h src/catalog/view.h src/fdw/resolve.h src/plan/plan.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/parsenodes.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/bitmapset.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/lockoptions.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/primnodes.h \
 /opt/pg-lead/include/postgresql/15/server/access/attnum.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/value.h \
 /opt/pg-lead/include/postgresql/15/server/partitioning/partdefs.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/plannodes.h \
 /opt/pg-lead/include/postgresql/15/server/access/sdir.h \
 /opt/pg-lead/include/postgresql/15/server/access/stratnum.h \
 /opt/pg-lead/include/postgresql/15/server/lib/stringinfo.h \
 src/window/window.h src/result/result.h \
 /opt/pg-lead/include/postgresql/15/server/tcop/dest.h \
 /opt/pg-lead/include/postgresql/15/server/executor/tuptable.h \
 /opt/pg-lead/include/postgresql/15/server/access/htup.h \
 /opt/pg-lead/include/postgresql/15/server/storage/itemptr.h \
 /opt/pg-lead/include/postgresql/15/server/storage/block.h \
 /opt/pg-lead/include/postgresql/15/server/storage/off.h \
 /opt/pg-lead/include/postgresql/15/server/storage/itemid.h \
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
 src/exec/exec.h /opt/pg-lead/include/postgresql/15/server/nodes/params.h \
 src/fdw/batch_scan.h src/worker/reader.h
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
/opt/pg-lead/include/postgresql/15/server/utils/timestamp.h:
/opt/pg-lead/include/postgresql/15/server/datatype/timestamp.h:
/opt/pg-lead/include/postgresql/15/server/fmgr.h:
/opt/pg-lead/include/postgresql/15/server/pgtime.h:
src/stats/stats.h:
/opt/pg-lead/include/postgresql/15/server/storage/condition_variable.h:
/opt/pg-lead/include/postgresql/15/server/storage/proclist_types.h:
/opt/pg-lead/include/postgresql/15/server/storage/spin.h:
/opt/pg-lead/include/postgresql/15/server/storage/s_lock.h:
src/source/source.h:
src/base/batch.h:
src/catalog/stream.h:
/opt/pg-lead/include/postgresql/15/server/nodes/pg_list.h:
/opt/pg-lead/include/postgresql/15/server/nodes/nodes.h:
src/worker/task.h:
src/catalog/view.h:
src/fdw/resolve.h:
src/plan/plan.h:
/opt/pg-lead/include/postgresql/15/server/nodes/parsenodes.h:
/opt/pg-lead/include/postgresql/15/server/nodes/bitmapset.h:
/opt/pg-lead/include/postgresql/15/server/nodes/lockoptions.h:
/opt/pg-lead/include/postgresql/15/server/nodes/primnodes.h:
/opt/pg-lead/include/postgresql/15/server/access/attnum.h:
/opt/pg-lead/include/postgresql/15/server/nodes/value.h:
/opt/pg-lead/include/postgresql/15/server/partitioning/partdefs.h:
/opt/pg-lead/include/postgresql/15/server/nodes/plannodes.h:
/opt/pg-lead/include/postgresql/15/server/access/sdir.h:
/opt/pg-lead/include/postgresql/15/server/access/stratnum.h:
/opt/pg-lead/include/postgresql/15/server/lib/stringinfo.h:
src/window/window.h:
src/result/result.h:
/opt/pg-lead/include/postgresql/15/server/tcop/dest.h:
/opt/pg-lead/include/postgresql/15/server/executor/tuptable.h:
/opt/pg-lead/include/postgresql/15/server/access/htup.h:
/opt/pg-lead/include/postgresql/15/server/storage/itemptr.h:
/opt/pg-lead/include/postgresql/15/server/storage/block.h:
/opt/pg-lead/include/postgresql/15/server/storage/off.h:
/opt/pg-lead/include/postgresql/15/server/storage/itemid.h:
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
src/exec/exec.h:
/opt/pg-lead/include/postgresql/15/server/nodes/params.h:
src/fdw/batch_scan.h:
src/worker/reader.h:
