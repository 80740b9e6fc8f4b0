# streamx: continuous views over streams, a PostgreSQL extension (PGXS).
#
#   make && sudo make install
#   make installcheck       every test that needs no broker, and those that do
#                           where one can be started (scripts/test sets it up)

MODULE_big = streamx
EXTENSION = streamx
DATA = $(wildcard sql/streamx--*.sql)
PGFILEDESC = "streamx - continuous views over streams"

OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c))) \
       $(patsubst %.cpp,%.o,$(sort $(wildcard src/*/*.cpp)))

PG_CPPFLAGS = -I$(srcdir)/src -MMD -MP
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers
PG_CXXFLAGS = -std=c++17 -Wall -Wextra -Wno-unused-parameter
SHLIB_LINK = -lrdkafka -lsimdjson -lstdc++ -lpthread

# pg_regress and isolation start servers of their own
REGRESS = $(REGRESS_TESTS)
REGRESS_OPTS = --temp-instance=tmp_check_sql --temp-config=test/streamx.conf --no-locale --encoding=UTF8
ISOLATION_OPTS = --temp-instance=tmp_check_iso --temp-config=test/streamx.conf --inputdir=test/isolation
TAP_TESTS = 1
PROVE_TESTS = test/t/*.pl

# Tests by name, in their order.
REGRESS_TESTS = ddl streams status aggregates extensions shapes failures refusals native windows event_time

# No bitcode: the C++ object has none, and nothing here is worth inlining.
override with_llvm = no

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

-include $(OBJS:.o=.d)

EXTRA_CLEAN += $(OBJS:.o=.d) tmp_check_sql tmp_check_iso output_iso
