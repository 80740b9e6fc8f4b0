src/syntax/keyword.o: src/syntax/keyword.c \
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
 /opt/pg-lead/include/postgresql/15/server/catalog/pg_class.h \
 /opt/pg-lead/include/postgresql/15/server/catalog/genbki.h \
 /opt/pg-lead/include/postgresql/15/server/catalog/pg_class_d.h \
 /opt/pg-lead/include/postgresql/15/server/common/keywords.h \
 /opt/pg-lead/include/postgresql/15/server/common/kwlookup.h \
 /opt/pg-lead/include/postgresql/15/server/miscadmin.h \
 /opt/pg-lead/include/postgresql/15/server/datatype/timestamp.h \
 /opt/pg-lead/include/postgresql/15/server/pgtime.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/parsenodes.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/bitmapset.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/lockoptions.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/primnodes.h \
 /opt/pg-lead/include/postgresql/15/server/access/attnum.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/pg_list.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/nodes.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/value.h \
 /opt/pg-lead/include/postgresql/15/server/partitioning/partdefs.h \
 /opt/pg-lead/include/postgresql/15/server/parser/parser.h \
 /opt/pg-lead/include/postgresql/15/server/utils/memutils.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/memnodes.h \
 src/syntax/syntax.h
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
/opt/pg-lead/include/postgresql/15/server/catalog/pg_class.h:
/opt/pg-lead/include/postgresql/15/server/catalog/genbki.h:
/opt/pg-lead/include/postgresql/15/server/catalog/pg_class_d.h:
/opt/pg-lead/include/postgresql/15/server/common/keywords.h:
/opt/pg-lead/include/postgresql/15/server/common/kwlookup.h:
/opt/pg-lead/include/postgresql/15/server/miscadmin.h:
/opt/pg-lead/include/postgresql/15/server/datatype/timestamp.h:
/opt/pg-lead/include/postgresql/15/server/pgtime.h:
/opt/pg-lead/include/postgresql/15/server/nodes/parsenodes.h:
/opt/pg-lead/include/postgresql/15/server/nodes/bitmapset.h:
/opt/pg-lead/include/postgresql/15/server/nodes/lockoptions.h:
/opt/pg-lead/include/postgresql/15/server/nodes/primnodes.h:
/opt/pg-lead/include/postgresql/15/server/access/attnum.h:
/opt/pg-lead/include/postgresql/15/server/nodes/pg_list.h:
/opt/pg-lead/include/postgresql/15/server/nodes/nodes.h:
/opt/pg-lead/include/postgresql/15/server/nodes/value.h:
/opt/pg-lead/include/postgresql/15/server/partitioning/partdefs.h:
/opt/pg-lead/include/postgresql/15/server/parser/parser.h:
/opt/pg-lead/include/postgresql/15/server/utils/memutils.h:
/opt/pg-lead/include/postgresql/15/server/nodes/memnodes.h:
src/syntax/syntax.h:
