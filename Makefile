# streamx: continuous views over streams, a PostgreSQL extension (PGXS).
#
#   make && sudo make install
#   make installcheck       every test that needs no broker, and those that do
#                           where one can be started (scripts/test sets it up)
#   make deb                Debian packages (scripts/deb)

MODULE_big = streamx
EXTENSION = streamx
DATA = $(wildcard sql/streamx--*.sql)
PGFILEDESC = "streamx - continuous views over streams"

# src/syntax/ is a library of its own
SYNTAX_OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/syntax/*.c)))
OBJS = $(filter-out $(SYNTAX_OBJS),$(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c)))) \
       $(patsubst %.cpp,%.o,$(sort $(wildcard src/*/*.cpp)))

PG_CPPFLAGS = -I$(srcdir)/src -MMD -MP
# TLS on sockets, where OpenSSL can be had
ifeq ($(shell echo '\#include <openssl/ssl.h>' | $(CC) -E -x c - >/dev/null 2>&1 && echo yes),yes)
PG_CPPFLAGS += -DSX_TLS
TLS_LIBS = -lssl -lcrypto
endif
# For tests only, see src/base/stop.h: make STOP_POINTS=1 (after make clean)
ifdef STOP_POINTS
PG_CPPFLAGS += -DSX_STOP_POINTS
endif
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers
PG_CXXFLAGS = -std=c++17 -Wall -Wextra -Wno-unused-parameter
SHLIB_LINK = -lrdkafka -lsimdjson -lstdc++ -lpthread $(TLS_LIBS)

# pg_regress and isolation start servers of their own
REGRESS = $(REGRESS_TESTS)
REGRESS_OPTS = --temp-instance=tmp_check_sql --temp-config=test/streamx.conf --no-locale --encoding=UTF8
ISOLATION_OPTS = --temp-instance=tmp_check_iso --temp-config=test/streamx.conf --inputdir=test/isolation \
                 --no-locale --encoding=UTF8
TAP_TESTS = 1
PROVE_TESTS = test/t/*.pl

# Tests by name, in their order.
REGRESS_TESTS = ddl streams status aggregates extensions shapes collations failures refusals native windows event_time literal recompute grouping_sets sink
REGRESS_TESTS += union history new_groups
REGRESS_TESTS += late explain rebuild reprocess verify
REGRESS_TESTS += hop sliding
REGRESS_TESTS += session
REGRESS_TESTS += final
REGRESS_TESTS += join join_levels
REGRESS_TESTS += derive derive_windows derive_more derive_shed
REGRESS_TESTS += cascade cascade_final
REGRESS_TESTS += privileges owner_rights shed
REGRESS_TESTS += distinct
REGRESS_TESTS += partitioned
REGRESS_TESTS += sight alter replace

ISOLATION = native-concurrent native-long native-savepoints native-prepared result-locks rebuild
ISOLATION += history drop

# No bitcode: the C++ object has none, and nothing here is worth inlining.
override with_llvm = no

EXTRA_CLEAN += $(OBJS:.o=.d) $(SYNTAX_OBJS) $(SYNTAX_OBJS:.o=.d) streamx_syntax$(DLSUFFIX) \
       tmp_check_sql tmp_check_iso output_iso

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# A server's flags for C that the C++ compiler does not know
override CXXFLAGS := $(filter-out -fexcess-precision=standard,$(CXXFLAGS))

-include $(OBJS:.o=.d) $(SYNTAX_OBJS:.o=.d)

# PGXS makes one library of several objects: the second one here.
all: streamx_syntax$(DLSUFFIX)

streamx_syntax$(DLSUFFIX): $(SYNTAX_OBJS)
	$(CC) $(CFLAGS) $(SYNTAX_OBJS) $(LDFLAGS) $(LDFLAGS_SL) -shared -o $@

install: install-syntax
install-syntax: all installdirs
	$(INSTALL_SHLIB) streamx_syntax$(DLSUFFIX) '$(DESTDIR)$(pkglibdir)/'

uninstall: uninstall-syntax
uninstall-syntax:
	rm -f '$(DESTDIR)$(pkglibdir)/streamx_syntax$(DLSUFFIX)'

deb:
	scripts/deb

.PHONY: install-syntax uninstall-syntax deb
