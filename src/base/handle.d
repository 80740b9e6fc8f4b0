src/base/handle.o: src/base/handle.c \
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
 /opt/pg-lead/include/postgresql/15/server/utils/memutils.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/memnodes.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/nodes.h \
 src/base/handle.h
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
/opt/pg-lead/include/postgresql/15/server/utils/memutils.h:
/opt/pg-lead/include/postgresql/15/server/nodes/memnodes.h:
/opt/pg-lead/include/postgresql/15/server/nodes/nodes.h:
src/base/handle.h:
