# ngx_http_refine_module: see "make help".

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

# The distribution's nginx headers (package nginx-dev), or an nginx source tree.
NGX_SRC ?= /usr/share/nginx/src
NGX ?= $(shell command -v nginx || echo /usr/sbin/nginx)
CC ?= cc
OBJS ?= objs
JOBS ?= 4
PREFIX ?= /usr/lib/nginx/modules

src := ngx_http_refine_module
sources := config $(wildcard $(src)/*.[ch])
module := $(OBJS)/ngx_http_refine_module.so
sanitize := -fsanitize=address,undefined -fno-sanitize-recover=undefined \
            -fno-omit-frame-pointer -O1 -g

# what the C tests are linked with: the units that know no request and no socket
pure := buf address inflate skip json json_check json_text html html_tree \
        html_raw html_decode html_entity id cookie origin counter set trace \
        accept tree path path_match capture items event event_field event_purchase \
        event_serve event_trusted event_value message page verdict circuit rate \
        surface spool spool_dir spool_read spool_record ledger
pure_o = $(pure:%=$(OBJS)/unit/ngx_http_refine_%.o) $(OBJS)/unit/ngx_stub.o
units := $(patsubst t/unit/%.c,$(OBJS)/unit/%,$(wildcard t/unit/test_*.c))

# the fuzz targets, and what they are linked with beside that
fuzzers := $(patsubst t/fuzz/%.c,%,$(wildcard t/fuzz/*.c))
fuzzed := $(pure) beacon beacon_gzip redis resp scripts \
          $(patsubst $(src)/ngx_http_refine_%.c,%,$(wildcard $(src)/*_queue*.c))
fuzzed_o = $(fuzzed:%=$(OBJS)/fuzz/ngx_http_refine_%.o) $(OBJS)/fuzz/ngx_stub.o
FUZZ_SECONDS ?= 60
FUZZ ?= $(fuzzers)

TESTS ?= t
prove = TEST_NGINX_BINARY=$(NGX) t/lib/prove.sh $(JOBS) $(TESTS)

# All .t files run under the sanitizers.  What these are in the way of (memory,
# time, the living together with other modules) runs without them as well.
PLAIN ?= $(if $(filter-out t,$(TESTS)),$(TESTS),t/08-living.t t/00-readme.t \
    t/30-delivery.t t/49-spool-slow.t \
    $(shell grep -lw '^grown' t/*.t))
prove_plain = TEST_NGINX_BINARY=$(NGX) t/lib/prove.sh $(JOBS) $(PLAIN)

# what runs in Chromium
BROWSER ?= t/browser/browser.py t/browser/page.py t/browser/tour.py
browsers = NGX=$(NGX) OBJS=$(OBJS) prove --exec python3 $(BROWSER)

.PHONY: all help deps build demo test unit shop fuzz check asan build_asan valgrind \
        clang smoke browser engines tour chaos bench soak install deb clean

all: build

help:
	@echo 'make             build objs/ngx_http_refine_module.so'
	@echo 'make demo        install what is missing, build, run a shop behind it'
	@echo '                 (DEMO_ONCE=1: end after the walk)'
	@echo 'make test        install what is missing, build, run every test'
	@echo 'make deps        install what the build needs'
	@echo 'make unit        the C tests'
	@echo 'make shop        the tests of the shop of the demo'
	@echo 'make fuzz        fuzz the parsers, FUZZ_SECONDS=60 each (FUZZ=NAMES: only'
	@echo '                 these of t/fuzz)'
	@echo 'make check       levels, style, docs'
	@echo 'make clang       build with clang'
	@echo 'make asan        the .t files under ASan and UBSan'
	@echo 'make browser     the tests of t/browser, in Chromium'
	@echo 'make engines     those of pages of a shop in Firefox and WebKit, too'
	@echo 'make tour        take the pictures of docs/tour.md anew'
	@echo 'make chaos       break everything around it for CHAOS_SECONDS=60'
	@echo '                 (CHAOS_SEED= to repeat a run, CHAOS_ASAN=1 under ASan,'
	@echo '                 CHAOS_VALGRIND=1 under valgrind)'
	@echo '                 CHAOS_EVENTS=1000000 CHAOS_RATE=1900: until so many are in'
	@echo '                 CHAOS_AWAY=1800: Redis and Refine away for half an hour'
	@echo 'make valgrind    the .t files with nginx under valgrind (an hour)'
	@echo 'make smoke       build and run in another Debian, made by debootstrap:'
	@echo '                 SUITE=trixie'
	@echo 'make bench       measure against peers (a few minutes)'
	@echo 'make soak        ten minutes of mixed load; memory has to be flat:'
	@echo '                 SOAK_SECONDS=600; the browser tests SOAK_BROWSER=10'
	@echo '                 times; 1000 tabs closed after a click'
	@echo 'make install     copy the module to PREFIX=$(PREFIX)'
	@echo 'make deb         build the Debian package, in $(OBJS)/deb'
	@echo 'make clean       remove objs'
	@echo
	@echo 'TESTS=FILES      only these .t files, for test, asan, valgrind and smoke'
	@echo 'NGX_SRC=DIR      build against an nginx source tree instead of the'
	@echo '                 package nginx-dev; NGX=FILE is the nginx to test with'

deps:
	@t/lib/deps.sh build

build: $(module)

# what becomes C when it is configured
embedded := $(wildcard $(src)/*.js $(src)/status.* $(src)/embed.sh)

# The distribution keeps the flags that its nginx was configured with beside
# the headers; a source tree is configured to be binary compatible with any
# nginx of the same version that was built --with-compat.

$(OBJS)/Makefile: config $(wildcard $(src)) $(embedded) Makefile
	@mkdir -p $(OBJS)
	root=$$PWD; cd $(NGX_SRC); \
	if [ -f conf_flags ]; then . ./conf_flags; else \
	    NGX_CONF_FLAGS=(--with-compat --with-threads \
	        --with-http_ssl_module --with-http_v2_module \
	        --with-http_realip_module); fi; \
	configure=./configure; [ -x $$configure ] || configure=auto/configure; \
	$$configure "$${NGX_CONF_FLAGS[@]}" --with-cc="$(CC)" \
	    --with-cc-opt="-O2 -g -Werror $(CFLAGS)" --with-ld-opt="$(LDFLAGS)" \
	    --builddir="$$root/$(OBJS)" --add-dynamic-module="$$root" \
	    > "$$root/$(OBJS)/configure.log" \
	    || { tail -n 20 "$$root/$(OBJS)/configure.log"; exit 1; }

$(module): $(OBJS)/Makefile $(sources)
	root=$$PWD; $(MAKE) -s -j$(JOBS) -C $(NGX_SRC) \
	    -f "$$root/$(OBJS)/Makefile" modules

demo:
	@t/lib/deps.sh demo
	@$(MAKE) -s build
	@NGX=$(NGX) t/shop/demo.py

test:
	@t/lib/deps.sh test
	@$(MAKE) -s build clang check
	@$(MAKE) -s -j$(JOBS) $(units)
	@$(MAKE) -s unit shop asan
	@$(MAKE) -s fuzz FUZZ_SECONDS=1
	$(prove_plain)
	$(browsers)
	t/chaos/test_oracle.py
	CHAOS_SEED=$${CHAOS_SEED:-7} NGX=$(NGX) OBJS=$(OBJS) t/chaos/chaos.py

unit: $(units)
	CMOCKA_MESSAGE_OUTPUT=TAP prove --exec '' $(units)

shop:
	t/shop/test_shop.py

alone_cc = $(CC) -W -Wall -Wno-unused-parameter -Werror \
    $(addprefix -I,$(wildcard $(addprefix $(NGX_SRC)/src/, \
        core event event/modules os/unix http http/modules http/v2))) \
    -I$(OBJS) -I$(src) -It/unit
unit_cc = $(alone_cc) $(sanitize)

$(OBJS)/unit/%.o: $(src)/%.c $(sources) | $(OBJS)/Makefile
	@mkdir -p $(OBJS)/unit
	$(unit_cc) -c -o $@ $<

$(OBJS)/unit/ngx_stub.o: t/unit/ngx_stub.c t/unit/ngx_stub.h | $(OBJS)/Makefile
	@mkdir -p $(OBJS)/unit
	$(unit_cc) -c -o $@ $<

# an archive, for no test needs all of them
$(OBJS)/unit/pure.a: $(pure_o)
	rm -f $@; ar rc $@ $(pure_o)

$(OBJS)/unit/test_%: t/unit/test_%.c $(wildcard t/unit/*.h) $(OBJS)/unit/pure.a
	$(unit_cc) -o $@ $< $(OBJS)/unit/pure.a -lcmocka -lcjson -lcrypto -ldeflate -lz -lm

# libFuzzer is clang's

fuzz_cc = $(alone_cc) $(sanitize) -fsanitize=fuzzer-no-link

fuzz:
	@t/lib/deps.sh fuzz
	@$(MAKE) -s $(OBJS)/Makefile
	@$(MAKE) -s -j$(JOBS) CC=clang $(FUZZ:%=$(OBJS)/fuzz/%)
	t/fuzz/run $(OBJS)/fuzz $(FUZZ_SECONDS) $(FUZZ)

$(OBJS)/fuzz/%.o: $(src)/%.c $(sources) | $(OBJS)/Makefile
	@mkdir -p $(OBJS)/fuzz
	$(fuzz_cc) -c -o $@ $<

$(OBJS)/fuzz/ngx_stub.o: t/unit/ngx_stub.c t/unit/ngx_stub.h | $(OBJS)/Makefile
	@mkdir -p $(OBJS)/fuzz
	$(fuzz_cc) -c -o $@ $<

$(OBJS)/fuzz/all.a: $(fuzzed_o)
	rm -f $@; ar rc $@ $(fuzzed_o)

$(OBJS)/fuzz/%: t/fuzz/%.c $(wildcard t/fuzz/*.h) $(OBJS)/fuzz/all.a
	$(fuzz_cc) -fsanitize=fuzzer -o $@ $< $(OBJS)/fuzz/all.a -lcjson -lhiredis \
	    -ldeflate -lz -lm

check:
	@t/check.pl

clang:
	@$(MAKE) -s build CC=clang OBJS=$(OBJS)/clang

build_asan:
	@$(MAKE) -s build OBJS=$(OBJS)/asan CFLAGS="$(sanitize)" \
	    LDFLAGS="-fsanitize=address,undefined"

asan: build_asan
	TEST_NGINX_LD_PRELOAD="$$($(CC) -print-file-name=libasan.so) \
	    $$($(CC) -print-file-name=libubsan.so)" \
	ASAN_OPTIONS=detect_leaks=0:detect_odr_violation=0 \
	TEST_NGINX_LOAD_MODULES=$$PWD/$(OBJS)/asan/ngx_http_refine_module.so \
	    $(prove)

browser:
	@t/lib/deps.sh browser
	@$(MAKE) -s build
	$(browsers)

# what needs the DevTools protocol is skipped there

engines:
	@t/lib/deps.sh engines
	@$(MAKE) -s build
	BROWSER_ENGINE=firefox NGX=$(NGX) OBJS=$(OBJS) t/browser/browser.py
	BROWSER_ENGINE=webkit NGX=$(NGX) OBJS=$(OBJS) t/browser/browser.py

# TOUR=NAMES: only these of docs/tour

tour:
	@t/lib/deps.sh browser
	@$(MAKE) -s build
	NGX=$(NGX) OBJS=$(OBJS) python3 t/browser/tour.py --write $(TOUR)

chaos:
	@t/lib/deps.sh chaos
ifeq ($(CHAOS_VALGRIND),1)
	@t/lib/deps.sh valgrind
endif
ifeq ($(CHAOS_ASAN),1)
	@$(MAKE) -s build_asan
else
	@$(MAKE) -s build
endif
	t/chaos/test_oracle.py
	NGX=$(NGX) OBJS=$(OBJS) t/chaos/chaos.py

# everything takes longer there, and may: REFINE_PATIENCE times

valgrind:
	@t/lib/deps.sh valgrind
	@$(MAKE) -s build
	REFINE_NGINX=$(NGX) REFINE_VALGRIND=$$PWD/$(OBJS)/valgrind \
	REFINE_PATIENCE=10 TEST_NGINX_TIMEOUT=60 \
	TEST_NGINX_BINARY=$$PWD/t/lib/valgrind.sh \
	    t/lib/prove.sh $(JOBS) $(TESTS)

SUITE ?= trixie
SOAK_BROWSER ?= 10

smoke:
	@t/lib/deps.sh smoke
	t/smoke/run $(SUITE) $(CURDIR)/$(OBJS)/smoke/$(SUITE) $(JOBS) \
	    $(filter-out t,$(TESTS))

bench:
	@t/lib/deps.sh bench
	@$(MAKE) -s build
	@$(MAKE) -s $(OBJS)/bench_lexer $(OBJS)/bench_html
	$(OBJS)/bench_lexer
	$(OBJS)/bench_html
	t/bench/collect
	t/bench/serve
	t/bench/inject
	t/bench/deliver

soak:
	@t/lib/deps.sh bench
	@t/lib/deps.sh browser
	@$(MAKE) -s build
	t/bench/soak
	for run in $$(seq $(SOAK_BROWSER)); do BROWSER_COST=10 $(browsers); done
	BROWSER_CLOSED=1000 NGX=$(NGX) OBJS=$(OBJS) \
	    t/browser/browser.py 'closed at once'

rate = $(alone_cc) -O2 -o $@ $(filter t/bench/%.c,$^) \
    $(patsubst %,$(src)/ngx_http_refine_%.c,$(1)) t/unit/ngx_stub.c

$(OBJS)/bench_lexer: t/bench/lexer.c t/bench/rate.c t/bench/rate.h \
    $(sources) | $(OBJS)/Makefile
	$(call rate,skip json json_text path path_match) -lcjson -lm

$(OBJS)/bench_html: t/bench/html.c t/bench/rate.c t/bench/rate.h \
    $(sources) | $(OBJS)/Makefile
	$(call rate,html html_tree html_raw html_decode html_entity)

install: build
	install -D -m 644 $(module) $(DESTDIR)$(PREFIX)/ngx_http_refine_module.so

deb:
	@t/lib/deps.sh deb
	rm -rf $(OBJS)/deb
	mkdir -p $(OBJS)/deb/src
	tar -c --exclude=./$(OBJS) --exclude=./.git . | tar -x -C $(OBJS)/deb/src
	cd $(OBJS)/deb/src && dpkg-buildpackage -us -uc -b

clean:
	rm -rf $(OBJS)

export TEST_NGINX_LOAD_MODULES ?= $(CURDIR)/$(OBJS)/ngx_http_refine_module.so
