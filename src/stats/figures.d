src/stats/figures.o: src/stats/figures.c \
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
 /opt/pg-lead/include/postgresql/15/server/storage/ipc.h \
 /opt/pg-lead/include/postgresql/15/server/storage/lwlock.h \
 /opt/pg-lead/include/postgresql/15/server/port/atomics.h \
 /opt/pg-lead/include/postgresql/15/server/port/atomics/arch-x86.h \
 /opt/pg-lead/include/postgresql/15/server/port/atomics/generic-gcc.h \
 /opt/pg-lead/include/postgresql/15/server/port/atomics/fallback.h \
 /opt/pg-lead/include/postgresql/15/server/port/atomics/generic.h \
 /opt/pg-lead/include/postgresql/15/server/storage/proclist_types.h \
 /opt/pg-lead/include/postgresql/15/server/storage/lwlocknames.h \
 /opt/pg-lead/include/postgresql/15/server/storage/shmem.h \
 /opt/pg-lead/include/postgresql/15/server/utils/hsearch.h src/base/guc.h \
 src/stats/stats.h \
 /opt/pg-lead/include/postgresql/15/server/datatype/timestamp.h \
 /opt/pg-lead/include/postgresql/15/server/storage/condition_variable.h \
 /opt/pg-lead/include/postgresql/15/server/storage/spin.h \
 /opt/pg-lead/include/postgresql/15/server/storage/s_lock.h \
 src/source/source.h src/base/batch.h src/catalog/stream.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/pg_list.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/nodes.h
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
/opt/pg-lead/include/postgresql/15/server/storage/ipc.h:
/opt/pg-lead/include/postgresql/15/server/storage/lwlock.h:
/opt/pg-lead/include/postgresql/15/server/port/atomics.h:
/opt/pg-lead/include/postgresql/15/server/port/atomics/arch-x86.h:
/opt/pg-lead/include/postgresql/15/server/port/atomics/generic-gcc.h:
/opt/pg-lead/include/postgresql/15/server/port/atomics/fallback.h:
/opt/pg-lead/include/postgresql/15/server/port/atomics/generic.h:
/opt/pg-lead/include/postgresql/15/server/storage/proclist_types.h:
/opt/pg-lead/include/postgresql/15/server/storage/lwlocknames.h:
/opt/pg-lead/include/postgresql/15/server/storage/shmem.h:
/opt/pg-lead/include/postgresql/15/server/utils/hsearch.h:
src/base/guc.h:
src/stats/stats.h:
/opt/pg-lead/include/postgresql/15/server/datatype/timestamp.h:
/opt/pg-lead/include/postgresql/15/server/storage/condition_variable.h:
/opt/pg-lead/include/postgresql/15/server/storage/spin.h:
/opt/pg-lead/include/postgresql/15/server/storage/s_lock.h:
src/source/source.h:
src/base/batch.h:
src/catalog/stream.h:
/opt/pg-lead/include/postgresql/15/server/nodes/pg_list.h:
/opt/pg-lead/include/postgresql/15/server/nodes/nodes.h:
