src/decode/value.o: src/decode/value.c \
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
 /opt/pg-lead/include/postgresql/15/server/datatype/timestamp.h \
 /opt/pg-lead/include/postgresql/15/server/utils/date.h \
 /opt/pg-lead/include/postgresql/15/server/fmgr.h \
 /opt/pg-lead/include/postgresql/15/server/pgtime.h \
 /opt/pg-lead/include/postgresql/15/server/utils/uuid.h \
 src/decode/json_parser.h src/decode/value.h src/base/batch.h
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
/opt/pg-lead/include/postgresql/15/server/datatype/timestamp.h:
/opt/pg-lead/include/postgresql/15/server/utils/date.h:
/opt/pg-lead/include/postgresql/15/server/fmgr.h:
/opt/pg-lead/include/postgresql/15/server/pgtime.h:
/opt/pg-lead/include/postgresql/15/server/utils/uuid.h:
src/decode/json_parser.h:
src/decode/value.h:
src/base/batch.h:
