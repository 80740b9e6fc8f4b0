src/window/window.o: src/window/window.c \
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
 /opt/pg-lead/include/postgresql/15/server/fmgr.h \
 /opt/pg-lead/include/postgresql/15/server/utils/builtins.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/nodes.h \
 /opt/pg-lead/include/postgresql/15/server/utils/fmgrprotos.h \
 /opt/pg-lead/include/postgresql/15/server/utils/timestamp.h \
 /opt/pg-lead/include/postgresql/15/server/datatype/timestamp.h \
 /opt/pg-lead/include/postgresql/15/server/pgtime.h src/window/window.h
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
/opt/pg-lead/include/postgresql/15/server/fmgr.h:
/opt/pg-lead/include/postgresql/15/server/utils/builtins.h:
/opt/pg-lead/include/postgresql/15/server/nodes/nodes.h:
/opt/pg-lead/include/postgresql/15/server/utils/fmgrprotos.h:
/opt/pg-lead/include/postgresql/15/server/utils/timestamp.h:
/opt/pg-lead/include/postgresql/15/server/datatype/timestamp.h:
/opt/pg-lead/include/postgresql/15/server/pgtime.h:
src/window/window.h:
