src/plan/batch_plan.o: src/plan/batch_plan.c \
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
 /opt/pg-lead/include/postgresql/15/server/nodes/nodeFuncs.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/parsenodes.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/bitmapset.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/lockoptions.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/primnodes.h \
 /opt/pg-lead/include/postgresql/15/server/access/attnum.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/pg_list.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/nodes.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/value.h \
 /opt/pg-lead/include/postgresql/15/server/partitioning/partdefs.h \
 /opt/pg-lead/include/postgresql/15/server/optimizer/optimizer.h \
 /opt/pg-lead/include/postgresql/15/server/optimizer/planner.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/pathnodes.h \
 /opt/pg-lead/include/postgresql/15/server/access/sdir.h \
 /opt/pg-lead/include/postgresql/15/server/lib/stringinfo.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/params.h \
 /opt/pg-lead/include/postgresql/15/server/storage/block.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/plannodes.h \
 /opt/pg-lead/include/postgresql/15/server/access/stratnum.h \
 src/fdw/batch_scan.h src/base/batch.h src/plan/plan.h \
 src/window/window.h \
 /opt/pg-lead/include/postgresql/15/server/datatype/timestamp.h
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
/opt/pg-lead/include/postgresql/15/server/nodes/nodeFuncs.h:
/opt/pg-lead/include/postgresql/15/server/nodes/parsenodes.h:
/opt/pg-lead/include/postgresql/15/server/nodes/bitmapset.h:
/opt/pg-lead/include/postgresql/15/server/nodes/lockoptions.h:
/opt/pg-lead/include/postgresql/15/server/nodes/primnodes.h:
/opt/pg-lead/include/postgresql/15/server/access/attnum.h:
/opt/pg-lead/include/postgresql/15/server/nodes/pg_list.h:
/opt/pg-lead/include/postgresql/15/server/nodes/nodes.h:
/opt/pg-lead/include/postgresql/15/server/nodes/value.h:
/opt/pg-lead/include/postgresql/15/server/partitioning/partdefs.h:
/opt/pg-lead/include/postgresql/15/server/optimizer/optimizer.h:
/opt/pg-lead/include/postgresql/15/server/optimizer/planner.h:
/opt/pg-lead/include/postgresql/15/server/nodes/pathnodes.h:
/opt/pg-lead/include/postgresql/15/server/access/sdir.h:
/opt/pg-lead/include/postgresql/15/server/lib/stringinfo.h:
/opt/pg-lead/include/postgresql/15/server/nodes/params.h:
/opt/pg-lead/include/postgresql/15/server/storage/block.h:
/opt/pg-lead/include/postgresql/15/server/nodes/plannodes.h:
/opt/pg-lead/include/postgresql/15/server/access/stratnum.h:
src/fdw/batch_scan.h:
src/base/batch.h:
src/plan/plan.h:
src/window/window.h:
/opt/pg-lead/include/postgresql/15/server/datatype/timestamp.h:
