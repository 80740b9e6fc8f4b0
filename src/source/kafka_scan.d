src/source/kafka_scan.o: src/source/kafka_scan.c \
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
 /opt/pg-lead/include/postgresql/15/server/miscadmin.h \
 /opt/pg-lead/include/postgresql/15/server/datatype/timestamp.h \
 /opt/pg-lead/include/postgresql/15/server/pgtime.h \
 /opt/pg-lead/include/postgresql/15/server/pgstat.h \
 /opt/pg-lead/include/postgresql/15/server/portability/instr_time.h \
 /opt/pg-lead/include/postgresql/15/server/postmaster/pgarch.h \
 /opt/pg-lead/include/postgresql/15/server/utils/backend_progress.h \
 /opt/pg-lead/include/postgresql/15/server/utils/backend_status.h \
 /opt/pg-lead/include/postgresql/15/server/datatype/timestamp.h \
 /opt/pg-lead/include/postgresql/15/server/libpq/pqcomm.h \
 /opt/pg-lead/include/postgresql/15/server/utils/backend_progress.h \
 /opt/pg-lead/include/postgresql/15/server/utils/relcache.h \
 /opt/pg-lead/include/postgresql/15/server/access/tupdesc.h \
 /opt/pg-lead/include/postgresql/15/server/access/attnum.h \
 /opt/pg-lead/include/postgresql/15/server/access/xlogdefs.h \
 /opt/pg-lead/include/postgresql/15/server/catalog/pg_attribute.h \
 /opt/pg-lead/include/postgresql/15/server/catalog/genbki.h \
 /opt/pg-lead/include/postgresql/15/server/catalog/pg_attribute_d.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/pg_list.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/nodes.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/bitmapset.h \
 /opt/pg-lead/include/postgresql/15/server/utils/wait_event.h \
 /opt/pg-lead/include/postgresql/15/server/storage/latch.h \
 /opt/pg-lead/include/postgresql/15/server/utils/timestamp.h \
 /opt/pg-lead/include/postgresql/15/server/fmgr.h \
 /opt/pg-lead/include/postgresql/15/server/pgtime.h \
 /opt/pg-lead/include/postgresql/15/server/utils/wait_event.h \
 src/base/handle.h src/source/kafka_scan.h src/base/batch.h \
 src/source/kafka_client.h src/catalog/stream.h src/source/source.h
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
/opt/pg-lead/include/postgresql/15/server/miscadmin.h:
/opt/pg-lead/include/postgresql/15/server/datatype/timestamp.h:
/opt/pg-lead/include/postgresql/15/server/pgtime.h:
/opt/pg-lead/include/postgresql/15/server/pgstat.h:
/opt/pg-lead/include/postgresql/15/server/portability/instr_time.h:
/opt/pg-lead/include/postgresql/15/server/postmaster/pgarch.h:
/opt/pg-lead/include/postgresql/15/server/utils/backend_progress.h:
/opt/pg-lead/include/postgresql/15/server/utils/backend_status.h:
/opt/pg-lead/include/postgresql/15/server/datatype/timestamp.h:
/opt/pg-lead/include/postgresql/15/server/libpq/pqcomm.h:
/opt/pg-lead/include/postgresql/15/server/utils/backend_progress.h:
/opt/pg-lead/include/postgresql/15/server/utils/relcache.h:
/opt/pg-lead/include/postgresql/15/server/access/tupdesc.h:
/opt/pg-lead/include/postgresql/15/server/access/attnum.h:
/opt/pg-lead/include/postgresql/15/server/access/xlogdefs.h:
/opt/pg-lead/include/postgresql/15/server/catalog/pg_attribute.h:
/opt/pg-lead/include/postgresql/15/server/catalog/genbki.h:
/opt/pg-lead/include/postgresql/15/server/catalog/pg_attribute_d.h:
/opt/pg-lead/include/postgresql/15/server/nodes/pg_list.h:
/opt/pg-lead/include/postgresql/15/server/nodes/nodes.h:
/opt/pg-lead/include/postgresql/15/server/nodes/bitmapset.h:
/opt/pg-lead/include/postgresql/15/server/utils/wait_event.h:
/opt/pg-lead/include/postgresql/15/server/storage/latch.h:
/opt/pg-lead/include/postgresql/15/server/utils/timestamp.h:
/opt/pg-lead/include/postgresql/15/server/fmgr.h:
/opt/pg-lead/include/postgresql/15/server/pgtime.h:
/opt/pg-lead/include/postgresql/15/server/utils/wait_event.h:
src/base/handle.h:
src/source/kafka_scan.h:
src/base/batch.h:
src/source/kafka_client.h:
src/catalog/stream.h:
src/source/source.h:
