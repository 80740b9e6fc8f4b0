src/fdw/kafka_insert.o: src/fdw/kafka_insert.c \
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
 /opt/pg-lead/include/postgresql/15/server/access/xact.h \
 /opt/pg-lead/include/postgresql/15/server/access/transam.h \
 /opt/pg-lead/include/postgresql/15/server/access/xlogdefs.h \
 /opt/pg-lead/include/postgresql/15/server/access/xlogreader.h \
 /opt/pg-lead/include/postgresql/15/server/access/xlogrecord.h \
 /opt/pg-lead/include/postgresql/15/server/access/rmgr.h \
 /opt/pg-lead/include/postgresql/15/server/access/rmgrlist.h \
 /opt/pg-lead/include/postgresql/15/server/port/pg_crc32c.h \
 /opt/pg-lead/include/postgresql/15/server/port/pg_bswap.h \
 /opt/pg-lead/include/postgresql/15/server/storage/block.h \
 /opt/pg-lead/include/postgresql/15/server/storage/relfilenode.h \
 /opt/pg-lead/include/postgresql/15/server/common/relpath.h \
 /opt/pg-lead/include/postgresql/15/server/catalog/catversion.h \
 /opt/pg-lead/include/postgresql/15/server/storage/backendid.h \
 /opt/pg-lead/include/postgresql/15/server/storage/buf.h \
 /opt/pg-lead/include/postgresql/15/server/datatype/timestamp.h \
 /opt/pg-lead/include/postgresql/15/server/lib/stringinfo.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/pg_list.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/nodes.h \
 /opt/pg-lead/include/postgresql/15/server/storage/sinval.h \
 /opt/pg-lead/include/postgresql/15/server/lib/ilist.h \
 /opt/pg-lead/include/postgresql/15/server/miscadmin.h \
 /opt/pg-lead/include/postgresql/15/server/datatype/timestamp.h \
 /opt/pg-lead/include/postgresql/15/server/pgtime.h \
 /opt/pg-lead/include/postgresql/15/server/utils/memutils.h \
 /opt/pg-lead/include/postgresql/15/server/nodes/memnodes.h \
 src/fdw/kafka_insert.h \
 /opt/pg-lead/include/postgresql/15/server/executor/tuptable.h \
 /opt/pg-lead/include/postgresql/15/server/access/htup.h \
 /opt/pg-lead/include/postgresql/15/server/storage/itemptr.h \
 /opt/pg-lead/include/postgresql/15/server/storage/off.h \
 /opt/pg-lead/include/postgresql/15/server/storage/itemid.h \
 /opt/pg-lead/include/postgresql/15/server/access/htup_details.h \
 /opt/pg-lead/include/postgresql/15/server/access/tupdesc.h \
 /opt/pg-lead/include/postgresql/15/server/access/attnum.h \
 /opt/pg-lead/include/postgresql/15/server/catalog/pg_attribute.h \
 /opt/pg-lead/include/postgresql/15/server/catalog/genbki.h \
 /opt/pg-lead/include/postgresql/15/server/catalog/pg_attribute_d.h \
 /opt/pg-lead/include/postgresql/15/server/access/tupmacs.h \
 /opt/pg-lead/include/postgresql/15/server/catalog/pg_type_d.h \
 /opt/pg-lead/include/postgresql/15/server/common/int.h \
 /opt/pg-lead/include/postgresql/15/server/storage/bufpage.h \
 /opt/pg-lead/include/postgresql/15/server/storage/item.h \
 /opt/pg-lead/include/postgresql/15/server/access/sysattr.h \
 src/catalog/stream.h src/base/batch.h src/sink/encode.h \
 src/sink/kafka_producer.h
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
/opt/pg-lead/include/postgresql/15/server/access/xact.h:
/opt/pg-lead/include/postgresql/15/server/access/transam.h:
/opt/pg-lead/include/postgresql/15/server/access/xlogdefs.h:
/opt/pg-lead/include/postgresql/15/server/access/xlogreader.h:
/opt/pg-lead/include/postgresql/15/server/access/xlogrecord.h:
/opt/pg-lead/include/postgresql/15/server/access/rmgr.h:
/opt/pg-lead/include/postgresql/15/server/access/rmgrlist.h:
/opt/pg-lead/include/postgresql/15/server/port/pg_crc32c.h:
/opt/pg-lead/include/postgresql/15/server/port/pg_bswap.h:
/opt/pg-lead/include/postgresql/15/server/storage/block.h:
/opt/pg-lead/include/postgresql/15/server/storage/relfilenode.h:
/opt/pg-lead/include/postgresql/15/server/common/relpath.h:
/opt/pg-lead/include/postgresql/15/server/catalog/catversion.h:
/opt/pg-lead/include/postgresql/15/server/storage/backendid.h:
/opt/pg-lead/include/postgresql/15/server/storage/buf.h:
/opt/pg-lead/include/postgresql/15/server/datatype/timestamp.h:
/opt/pg-lead/include/postgresql/15/server/lib/stringinfo.h:
/opt/pg-lead/include/postgresql/15/server/nodes/pg_list.h:
/opt/pg-lead/include/postgresql/15/server/nodes/nodes.h:
/opt/pg-lead/include/postgresql/15/server/storage/sinval.h:
/opt/pg-lead/include/postgresql/15/server/lib/ilist.h:
/opt/pg-lead/include/postgresql/15/server/miscadmin.h:
/opt/pg-lead/include/postgresql/15/server/datatype/timestamp.h:
/opt/pg-lead/include/postgresql/15/server/pgtime.h:
/opt/pg-lead/include/postgresql/15/server/utils/memutils.h:
/opt/pg-lead/include/postgresql/15/server/nodes/memnodes.h:
src/fdw/kafka_insert.h:
/opt/pg-lead/include/postgresql/15/server/executor/tuptable.h:
/opt/pg-lead/include/postgresql/15/server/access/htup.h:
/opt/pg-lead/include/postgresql/15/server/storage/itemptr.h:
/opt/pg-lead/include/postgresql/15/server/storage/off.h:
/opt/pg-lead/include/postgresql/15/server/storage/itemid.h:
/opt/pg-lead/include/postgresql/15/server/access/htup_details.h:
/opt/pg-lead/include/postgresql/15/server/access/tupdesc.h:
/opt/pg-lead/include/postgresql/15/server/access/attnum.h:
/opt/pg-lead/include/postgresql/15/server/catalog/pg_attribute.h:
/opt/pg-lead/include/postgresql/15/server/catalog/genbki.h:
/opt/pg-lead/include/postgresql/15/server/catalog/pg_attribute_d.h:
/opt/pg-lead/include/postgresql/15/server/access/tupmacs.h:
/opt/pg-lead/include/postgresql/15/server/catalog/pg_type_d.h:
/opt/pg-lead/include/postgresql/15/server/common/int.h:
/opt/pg-lead/include/postgresql/15/server/storage/bufpage.h:
/opt/pg-lead/include/postgresql/15/server/storage/item.h:
/opt/pg-lead/include/postgresql/15/server/access/sysattr.h:
src/catalog/stream.h:
src/base/batch.h:
src/sink/encode.h:
src/sink/kafka_producer.h:
